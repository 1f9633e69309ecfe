"""`kdzoo data`: one file a command."""
