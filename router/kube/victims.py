"""Which pods go when a Deployment is scaled down. No clock and no socket in here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from router.kube.model import Pod


def victims(
    pods: Sequence[Pod], wanted_now: int, replicas: int, busy: Callable[[Pod], int], lost: Callable[[Pod], bool] = lambda _: False
) -> list[Pod]:
    """The ready pods that go on the way from `wanted_now` to `replicas`: those that nobody can reach, then chosen ones again,
    then those with the least to do.

    Kubernetes takes pods that are not ready before any of them, so as many fewer are to be chosen
    (controller_utils.go, ActivePodsWithRanks).
    """
    ready = [pod for pod in pods if pod.address.ready or pod.standing in ("admitted", "draining")]
    going = wanted_now - replicas - max(0, wanted_now - len(ready))
    ranked = sorted(ready, key=lambda pod: (not lost(pod), pod.standing != "draining", busy(pod)))
    return ranked[: max(0, going)]


def spared(pods: Iterable[Pod]) -> list[Pod]:
    """Pods that we took out of the table and that Kubernetes did not take away: neither terminating nor gone."""
    return [pod for pod in pods if pod.standing in ("draining", "shut") and not pod.address.draining]
