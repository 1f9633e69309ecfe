"""`kdzoo submit`: one file a command."""
