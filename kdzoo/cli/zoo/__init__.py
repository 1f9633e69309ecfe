"""`kdzoo zoo`: one file a command."""
