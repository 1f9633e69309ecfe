"""The command line: one file a command group; commands never catch errors, `errors` has one table for all."""
