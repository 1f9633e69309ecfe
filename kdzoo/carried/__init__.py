"""A release outside of a zoo: a folder that is one thing, and the same as a single file."""
