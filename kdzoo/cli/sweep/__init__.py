"""`kdzoo sweep`: one file a command."""
