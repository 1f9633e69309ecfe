"""What stands in the files of a zoo, and under which keys; no input, no output."""
