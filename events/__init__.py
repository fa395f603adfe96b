"""DELIVER, to come: brokers -> CloudEvents -> functions, through the router's front door. Nothing is in here yet."""
