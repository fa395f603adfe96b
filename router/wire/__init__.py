"""The socket shell of the data plane: connections, listeners and pools on one poller. Decisions are made in exchange.py."""
