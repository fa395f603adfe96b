"""THE CLUSTER: our Kubernetes client side. Requests, list+watch cache, informer, lease. No word of functions in it."""
