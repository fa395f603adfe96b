"""The socket shell of the data plane: connections, listeners and pools on one poller. What is decided, is decided in exchange.py."""
