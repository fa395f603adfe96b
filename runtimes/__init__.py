"""INSIDE: what runs in a function's container. A contract, a small server and a Dockerfile for each language."""
