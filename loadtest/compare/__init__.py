"""The comparison: the router beside nginx, HAProxy, Envoy, Traefik, Caddy and Go's ReverseProxy, side by side in one run."""
