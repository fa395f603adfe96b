"""Our Kubernetes client side: requests, list and watch, informer, lease, events. It knows nothing of functions."""
