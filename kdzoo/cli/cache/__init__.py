"""`kdzoo cache`: one file a command."""
