"""The adapters of events for one machine: an in-process broker."""
