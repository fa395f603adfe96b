"""`python -m loadtest.footprint`: what an installed platform keeps in memory while nobody calls, pod by pod, against a bound.

Resident memory as the kubelet counts it (`/stats/summary`, cgroup's rss): no page cache, and no program has to tell it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MIB = 1 << 20
Ask = Callable[[str], Any]  # an API path -> the decoded answer


@dataclass(frozen=True, slots=True)
class Share:
    """One pod."""

    pod: str
    resident: int  # bytes


def shares(ask: Ask, namespace: str, release: str) -> list[Share]:
    """The release's pods that are there to stay. Raises LookupError where a kubelet knows nothing of one yet."""
    selector = f"app.kubernetes.io%2Finstance%3D{release}"
    pods = [
        pod
        for pod in ask(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")["items"]
        if "deletionTimestamp" not in pod["metadata"]
    ]
    told: dict[str, int] = {}
    for node in {pod["spec"].get("nodeName", "") for pod in pods} - {""}:
        told |= resident(ask(f"/api/v1/nodes/{node}/proxy/stats/summary"), namespace)
    names = [pod["metadata"]["name"] for pod in pods]
    if missing := [name for name in names if not told.get(name)]:
        raise LookupError(f"the kubelet has not measured {', '.join(missing)} yet: try again in some seconds")
    return [Share(name, told[name]) for name in sorted(names)]


def resident(summary: Any, namespace: str) -> dict[str, int]:
    """Bytes of each pod of a namespace by a kubelet's summary."""
    return {
        pod["podRef"]["name"]: sum(one.get("memory", {}).get("rssBytes", 0) for one in pod.get("containers", ()))
        for pod in summary["pods"]
        if pod["podRef"]["namespace"] == namespace
    }


def table(found: list[Share]) -> str:
    """A line for each pod, and the sum."""
    rows = [*((share.pod, share.resident) for share in found), (f"{len(found)} pods", sum(share.resident for share in found))]
    return "\n".join(f"{name:<50}{amount / MIB:8.1f} MiB" for name, amount in rows)


def ask_kubectl(path: str) -> Any:
    """Over kubectl, by the person's own rights. Raises CalledProcessError."""
    return json.loads(subprocess.run(["kubectl", "get", "--raw", path], check=True, capture_output=True, timeout=30).stdout)


def main() -> int:
    """Exit status: 1 when a bound is broken, 2 when it cannot be told."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.footprint", description=__doc__)
    parser.add_argument("-n", "--namespace", default="cloudbase-system", help="of the release (default %(default)s)")
    parser.add_argument("--release", default="cloudbase", help="its name (default %(default)s)")
    parser.add_argument("--pods", type=int, default=3, help="at most so many (default %(default)s)")
    parser.add_argument("--memory", type=float, default=160, help="MiB, at most (default %(default)s)")
    options = parser.parse_args()
    try:
        found = shares(ask_kubectl, options.namespace, options.release)
    except (LookupError, OSError, subprocess.SubprocessError) as error:
        print(getattr(error, "stderr", b"") or error, file=sys.stderr)
        return 2
    print(table(found))
    return int(not found or len(found) > options.pods or sum(share.resident for share in found) > options.memory * MIB)


if __name__ == "__main__":
    sys.exit(main())
