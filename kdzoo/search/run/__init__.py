"""The sweep itself, in the driver: from its checks to the champions it publishes."""
