"""The controller's adapters for one machine: SQLite, builds in folders, functions as child processes."""
