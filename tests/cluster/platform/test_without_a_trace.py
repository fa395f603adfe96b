"""`helm uninstall` takes away all that is not a user's, and what stays can be deleted. The folder's last test."""

from __future__ import annotations

import asyncio
import json

import pytest

from controller.kube.names import FINALIZER
from tests.cluster.platform.held import held
from tests.cluster.platform.installed import BUILDS, NAMESPACE, ROOT, Failed, Platform, command, kubectl
from tests.cluster.platform.routers import deployed
from tests.cluster.shared.router_on_a_cluster import MARKS, PATIENCE, Place, in_a_namespace, stamp

pytestmark = MARKS

KINDS = ("functions", "revisions")
DEFINITIONS = {
    *(f"CustomResourceDefinition /{kind}.cloudbase.dev" for kind in KINDS),
    "APIService /v1alpha1.cloudbase.dev",  # the API server's own, for them
}
# Of helm's --create-namespace, and what every namespace has.
RELEASE_NAMESPACE = {
    f"Namespace /{NAMESPACE}",
    f"ServiceAccount {NAMESPACE}/default",
    f"ConfigMap {NAMESPACE}/kube-root-ca.crt",
}


@pytest.mark.slow
def test_uninstalling_leaves_functions_and_their_definitions_which_can_be_deleted_then(platform: Platform) -> None:
    async def scenario(place: Place) -> None:
        here = {f"Namespace /{place.namespace}"}
        name = await deployed(place, platform, scaling={"min": 1})
        assert FINALIZER in json.loads(await told(place, "get", "function", name, "-o", "json"))["metadata"]["finalizers"]
        began = stamp()
        print(await asyncio.to_thread(platform.uninstall))
        print(f"helm uninstall: {stamp() - began:.1f} s")
        await only(platform, DEFINITIONS | RELEASE_NAMESPACE | here)

        function = json.loads(await told(place, "get", "function", name, "-o", "json"))
        assert "finalizers" not in function["metadata"]
        await told(place, "patch", "function", name, "--type=merge", "-p", json.dumps({"metadata": {"finalizers": [FINALIZER]}}))
        print(await asyncio.to_thread(command, "bash", "-ec", by_hand()))
        assert (await told(place, "get", "function", name, "-o", "jsonpath={.metadata.finalizers}")) == ""
        assert (await told(place, "get", "deployment", f"{name}-00001", "-o", "jsonpath={.status.readyReplicas}")) == "1"

        await asyncio.to_thread(kubectl, "delete", "-f", str(platform.chart / "crds"), "--timeout=300s")
        await only(platform, RELEASE_NAMESPACE | here)
        for what in (f"deployment/{name}-00001", f"service/{name}", f"service/{name}-00001"):
            await told(place, "wait", "--for=delete", what, "--timeout=300s")

    in_a_namespace(scenario)


def by_hand() -> str:
    """What docs/install.md says to do instead of the hook."""
    page = (ROOT / "docs/install.md").read_text()
    return page[page.index("    kubectl get functions --all-namespaces") :].partition("\n\n")[0]


async def told(place: Place, *arguments: str) -> str:
    return await asyncio.to_thread(kubectl, "-n", place.namespace, *arguments)


async def only(platform: Platform, stays: set[str], within: float = PATIENCE) -> None:
    """Wait until this is all that was not there before the installation: pods drain, the namespace of builds takes its time."""
    found: set[str] = set()
    try:
        async with asyncio.timeout(within):
            while not found or found - stays:
                try:
                    found = await asyncio.to_thread(held, NAMESPACE, BUILDS) - platform.before
                except Failed as failed:  # a kind that went between the list of kinds and this one
                    print(failed)
                await asyncio.sleep(0.5)
    except TimeoutError:
        raise AssertionError(f"left behind: {', '.join(sorted(found - stays))}") from None
    assert found == stays - platform.before
