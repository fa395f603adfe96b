"""A pod with `development.reload` runs code that can be written, and starts its process anew when a file is copied there."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
import time
from typing import Any

import pytest

from tests.cluster.platform.installed import Failed, kubectl, platform_image
from tests.cluster.shared.router_on_a_cluster import MARKS, PATIENCE, Place, in_a_namespace
from tests.shared import helm as chart

pytestmark = MARKS

EDITED = '"""Edited."""\n'


def pod(image: str) -> dict[str, Any]:
    """The router's, as the chart makes it, with a server of files in the router's place, which needs no rights."""
    repository, _, tag = image.rpartition(":")
    values = {"image": {"repository": repository, "tag": tag}, "development": {"reload": True}}
    spec = chart.only(chart.render(values), "Deployment", "cloudbase-router")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    left = {key: value for key, value in container.items() if not key.endswith("Probe")}
    left |= {"args": ["cloudbase.reload", "http.server", "8080"]}
    spec |= {"serviceAccountName": "default", "automountServiceAccountToken": False, "containers": [left]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "edited"}, "spec": spec}


def copied(path: str, text: str) -> str:
    """An archive as skaffold sends it, with the path from the root. ASCII only."""
    archive, data = io.BytesIO(), text.encode("ascii")
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.size, entry.mode = len(data), 0o644
        tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue().decode("ascii")


def logged(namespace: str, words: str, within: float = PATIENCE) -> None:
    """Wait until the pod's process says so."""
    deadline = time.monotonic() + within
    while words not in (said := kubectl("-n", namespace, "logs", "edited")):
        if time.monotonic() > deadline:
            raise Failed(f"{words!r} is not there after {within:.0f} s:\n{said}")
        time.sleep(0.2)


@pytest.mark.slow
def test_a_file_that_is_copied_into_a_pod_for_development_starts_its_process_anew() -> None:
    def edit(namespace: str) -> None:
        kubectl("-n", namespace, "apply", "-f", "-", text=json.dumps(pod(platform_image())))
        kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/edited", "--timeout=300s")
        logged(namespace, "Serving HTTP")  # it looks at its files since then
        run = ("-n", namespace, "exec", "-i", "edited", "--")
        file = "/code/app/router/errors.py"
        assert "NoRoute" in kubectl(*run, "cat", file)
        began = time.monotonic()
        kubectl(*run, "tar", "xmf", "-", "-C", "/", "--no-same-owner", text=copied(file, EDITED))
        logged(namespace, "files have changed, it is started anew")
        print(f"started anew {time.monotonic() - began:.1f} s after the file was sent")
        assert kubectl(*run, "cat", file) == EDITED
        with pytest.raises(Failed, match="cannot touch"):
            kubectl(*run, "touch", "/app/router/errors.py")

    async def scenario(place: Place) -> None:
        await asyncio.to_thread(edit, place.namespace)

    in_a_namespace(scenario)
