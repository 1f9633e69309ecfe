"""Search spaces, one YAML a method. A package so that an installed kdzoo finds them."""
