"""`kdzoo mlflow`: one file a command."""
