"""The management API in a cluster: over the controller's stores, behind the API server's word on who may do what."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.routing import BaseRoute, Mount

from controller.api.app import create_app
from controller.api.scope import Scope
from controller.kube.control import Control
from controller.kube.doorkeeper import KubeDoorkeeper
from kube.client import Client

USUAL = "default"  # the namespace where none is asked for


def routes(client: Client, control: Control, holder: Callable[[str, str], str]) -> Sequence[BaseRoute]:
    """What the controller serves on its admin port beside health and metrics. `holder`: who has a function's address."""
    app = create_app(
        control.store,
        control.sources,
        control.reconciler,
        control.deployer,
        KubeDoorkeeper(client),
        hosts=None,
        scope=Scope(USUAL, many=True),
        holder=holder,
    )
    return [Mount("/", app)]
