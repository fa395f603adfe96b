"""Labels and annotations that the router reads from Services, and what it writes to others' objects."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "cloudbase.dev/"
ROUTE: Final = PREFIX + "route"  # label of a Service: it is the route of this name
PROJECT: Final = PREFIX + "project"  # label of a Namespace, set by an administrator: its routes are /fn/<name>.<project>
SERVICE_NAME: Final = "kubernetes.io/service-name"  # label of an EndpointSlice: the Service that it belongs to
MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"  # label of an EndpointSlice: who writes it
SLICER: Final = "router.cloudbase.dev"  # the routers, who lead intercepted Services to themselves

# annotations of a route's Service
BACKENDS: Final = PREFIX + "backends"  # JSON [{"service": NAME, "weight": 0..}]; absent: the Service itself
SCALING: Final = PREFIX + "scaling"  # "router" (default), or "external": a human or an HPA has taken over
RETIRED: Final = PREFIX + "retired"  # "true": when the Service goes, the route goes at once
INTERCEPT: Final = PREFIX + "intercept"  # "true": calls to the Service's own address go to the routers

# annotations of a backend's Service, which may be the same one
DEPLOYMENT: Final = PREFIX + "deployment"  # the Deployment whose pods it selects; absent: not scaled
PORT: Final = PREFIX + "port"  # name or number of the Service's port, where it has several
PROBE: Final = (
    PREFIX + "readiness-probe"
)  # JSON, as in the pod template, ports as numbers; on the route's Service for all backends

DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"  # annotation of a Pod: those with less go first
MANAGER: Final = "cloudbase-router"  # our field manager and lease
