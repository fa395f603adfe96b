"""`python -m controller.kube.farewell`: what an uninstalled platform would hold or leave behind in a cluster is let go.

Functions stay, and what they own runs on. Our finalizer comes off them: nobody is there any more who would do that, and with it
neither a Function nor its namespace could ever be deleted. Leases and Secrets that the processes made for themselves go. No
controller may be able to write any more, or it would put the finalizer on again: the chart runs this after everything else of the
release was deleted.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from controller.kube.names import FINALIZER, MANAGER
from controller.kube.objects import FUNCTIONS, Kept
from kube.access import BadAccess
from kube.client import Client
from kube.config import access_to
from kube.errors import Conflict, KubeError, NotFound
from kube.resource import LEASES, SECRETS, Resource
from kube.watch import Scope

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Belongings:
    """What the processes of a release made for themselves, by name."""

    namespace: str
    leases: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


async def let_go(client: Client, namespaces: Collection[str] = ()) -> int:
    """Take our finalizer off the Functions of these namespaces, none = all; of how many it came. Raises KubeError."""
    count = 0
    for namespace in namespaces or ("",):
        try:
            found = await client.list(FUNCTIONS, Scope(namespace))
        except NotFound:
            return count  # the definition is gone, and every Function with it
        for function in found:
            count += await _freed(client, function)
    return count


async def clear(client: Client, belongings: Belongings) -> None:
    """Delete what is there of them. Raises KubeError."""
    kinds: tuple[tuple[Resource[Any], tuple[str, ...]], ...] = ((LEASES, belongings.leases), (SECRETS, belongings.secrets))
    for resource, names in kinds:
        for name in names:
            with suppress(NotFound):
                await client.delete(resource, name, belongings.namespace)
                log.info("%s %s/%s deleted", resource.kind, belongings.namespace, name)


async def _freed(client: Client, function: Kept) -> bool:
    """Whether the finalizer was on it; somebody else may change the Function meanwhile, or delete it."""
    name, namespace = function.metadata.name, function.metadata.namespace
    with suppress(NotFound):
        while FINALIZER in (function.metadata.finalizers or ()):
            left = [each for each in function.metadata.finalizers or () if each != FINALIZER]
            version = {"resourceVersion": function.metadata.resource_version}
            try:
                await client.merge(FUNCTIONS, name, {"metadata": {"finalizers": left, **version}}, namespace, manager=MANAGER)
                return True
            except Conflict:
                function = await client.get(FUNCTIONS, name, namespace)
    return False


async def _run(options: argparse.Namespace) -> None:
    belongings = Belongings(options.namespace, tuple(options.lease), tuple(options.secret))
    async with Client(await access_to(options.kube_config, "", os.environ), agent=MANAGER) as client:
        log.info("%d Functions let go; they and what they own stay as they are", await let_go(client, options.functions_in))
        await clear(client, belongings)


def main(arguments: list[str]) -> int:
    """Exit status: 0, or 1 when the API server cannot be reached or refuses: run it again, it goes on where it was."""
    parser = argparse.ArgumentParser(prog="python -m controller.kube.farewell", description=__doc__)
    parser.add_argument("--kube-config", default="", help="kubeconfig file; without it $KUBECONFIG, or the pod's service account")
    parser.add_argument("--functions-in", action="append", default=[], metavar="NAMESPACE", help="again and again; none = all")
    parser.add_argument("--namespace", required=True, help="the release's, where leases and secrets are")
    parser.add_argument("--lease", action="append", default=[], help="delete this one; again and again")
    parser.add_argument("--secret", action="append", default=[], help="delete this one; again and again")
    try:
        asyncio.run(_run(parser.parse_args(arguments)))
    except (BadAccess, KubeError) as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    sys.exit(main(sys.argv[1:]))
