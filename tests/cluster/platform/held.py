"""What a cluster holds: every object of every kind that can be listed, outside of namespaces and in some of them."""

from __future__ import annotations

from tests.cluster.platform.installed import kubectl

# An hour old at most; one for each Service, and gone with it; no objects at all.
PASSING = {"events", "events.events.k8s.io", "ipaddresses.networking.k8s.io", "componentstatuses"}
LINES = '-o=jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name}{"\\n"}{end}'


def held(*namespaces: str) -> set[str]:
    """`Kind namespace/name` of each, without a namespace `Kind /name`."""
    found = _listed(_kinds("false"), "--all-namespaces")
    for namespace in namespaces:
        found |= _listed(_kinds("true"), "--namespace", namespace)
    return found


def _kinds(namespaced: str) -> str:
    names = kubectl("api-resources", "--verbs=list", f"--namespaced={namespaced}", "-o", "name").split()
    return ",".join(sorted(set(names) - PASSING))


def _listed(kinds: str, *where: str) -> set[str]:
    return set(kubectl("get", kinds, *where, "--ignore-not-found", LINES).splitlines()) - {""}
