"""The router's adapters for Kubernetes: routes from Services and EndpointSlices."""
