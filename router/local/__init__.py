"""The router's adapters for one machine without a cluster."""
