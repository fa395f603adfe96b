"""Our kinds, and what the objects that the controller makes are labelled and annotated with. Pure."""

from __future__ import annotations

from typing import Final

GROUP: Final = "cloudbase.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
MANAGER: Final = "cloudbase-controller"  # our field manager, and the name of our lease

FINALIZER: Final = f"{GROUP}/teardown"  # of a Function: its route goes first, then its replicas, then the Function itself
RELEASED: Final = f"{GROUP}/released"  # annotation of a Function: the generation that may be deployed with `deploy: manual`

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
OURS: Final = "cloudbase"  # its value
APP: Final = "app.kubernetes.io/name"
FUNCTION: Final = f"{GROUP}/function"  # label: the function's name
REVISION: Final = f"{GROUP}/revision"  # label: the revision's name

CHILDREN: Final = f"{MANAGED_BY}={OURS},{FUNCTION}"  # selectors: all that belongs to a function
OF_REVISIONS: Final = f"{MANAGED_BY}={OURS},{REVISION}"


def labels(function: str, revision: str = "") -> dict[str, str]:
    """Of everything that belongs to a function, or to one of its revisions."""
    return {MANAGED_BY: OURS, APP: function, FUNCTION: function, **({REVISION: revision} if revision else {})}
