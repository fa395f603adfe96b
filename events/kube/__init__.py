"""The adapters of events for Kubernetes."""
