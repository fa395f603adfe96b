"""The adapters of events for Kubernetes, to come."""
