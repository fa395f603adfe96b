"""Builds in a cluster: sources kept by digest, Kaniko Jobs that make images of them, and what their logs mean in words."""
