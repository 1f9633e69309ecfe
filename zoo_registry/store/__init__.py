"""Bytes under keys, in a folder or on S3: what the registry asks of a store, and the stores that answer."""
