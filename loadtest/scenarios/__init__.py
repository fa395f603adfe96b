"""locust scenarios: what users do to the platform, and how it must take it."""
