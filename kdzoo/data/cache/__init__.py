"""Images decoded once, in memory-mapped files that all trials of a node share."""
