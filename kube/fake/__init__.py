"""A small API server in memory, over real HTTP on loopback, with faults on demand: for tests and trials."""
