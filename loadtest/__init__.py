"""Load tests: the comparison with other proxies, and the limits that a router must hold under load."""
