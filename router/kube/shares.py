"""Divides a route's replicas among the Deployments behind it. No clock and no socket in here."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from router.kube.model import Replicas


def divided(replicas: int, among: Sequence[Replicas]) -> list[tuple[Replicas, int]]:
    """Replicas for each Deployment: by weight, rounded up, so that none sleeps while the route is awake.

    Those of weight 0 are left alone: whoever took their weight away decides when they go.
    """
    weighted = [each for each in among if each.weight]
    total = sum(each.weight for each in weighted)
    return [(each, ceil(replicas * each.weight / total)) for each in weighted]
