"""The adapters of events for one machine, to come: an in-process broker."""
