"""What was read from a store before, kept on this machine."""
