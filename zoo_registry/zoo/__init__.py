"""Publishing, resolving and fetching releases; moving aliases; signatures."""
