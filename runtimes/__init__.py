"""What runs inside a function's process: one small server for each language, and the catalog that says how to start it."""
