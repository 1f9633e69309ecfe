"""`kdzoo teacher`: one file a command."""
