"""The command line: one file a command, one folder a group of them, and beside the folders what groups share.

Commands never catch errors: `errors` has one table for all.
"""
