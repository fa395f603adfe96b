"""DELIVER: brokers -> CloudEvents -> functions, through the router's front door."""
