"""`cloudbase adopt`."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import click

from cloudbase import output as shown
from cloudbase.errors import CommandError, Failed, NoPlatform, NotFound

if TYPE_CHECKING:
    from cloudbase.adoption import Plan, Wishes
    from kube.client import Client

TITLES = {"routers": "service", "pods": "service", "clear": "service", "release": "service", "gone service": "service"}


def _seconds(ctx: click.Context, param: click.Parameter, value: str) -> int:
    """Whole seconds: "5s" or "5"."""
    if not (found := re.fullmatch(r"([0-9]{1,5})s?", value)):
        raise click.BadParameter(f"{value!r} is no number of seconds, like 5s", ctx, param)
    return int(found[1])


@click.command("adopt")
@click.argument("deployment")
@click.option("--namespace", "-n", metavar="NAME", help="Of the Deployment.  [default: the kubeconfig's]")
@click.option("--name", metavar="NAME", help="Answer at /fn/NAME.  [default: the Deployment's name]")
@click.option("--service", metavar="NAME", help="The Service in front of it.  [default: the one that selects its pods]")
@click.option("--port", metavar="PORT", help="The Service's port, by name or number.  [default: its only one]")
@click.option("--to-zero", is_flag=True, help="Let it sleep when nobody calls.")
@click.option("--intercept", is_flag=True, help="Lead calls to the Service's own address through the router, too.")
@click.option(
    "--drain", callback=_seconds, default="0", metavar="SECONDS", help="Let pods serve on so long before they are told to end."
)
@click.option("--undo", is_flag=True, help="Take everything back.")
@click.option("--dry-run", is_flag=True, help="Show what would be changed, and change nothing.")
@click.option(
    "--kubeconfig", envvar="KUBECONFIG", default="~/.kube/config", show_default=True, metavar="FILE", help="The cluster."
)
@click.option("--context", default="", metavar="NAME", help="Of the kubeconfig.  [default: the current one]")
def command(
    deployment: str, namespace: str | None, undo: bool, dry_run: bool, kubeconfig: str, context: str, **wishes: Any
) -> None:
    """Put a Deployment of a cluster, with its Service, behind the router.

    It answers at /fn/NAME of the router (cloudbase router). The program in it need not know.
    """
    from cloudbase.adoption import Wishes  # the router's and kube's modules, which `--help` does not need

    asked = Wishes(**{key: value for key, value in wishes.items() if value is not None})
    asyncio.run(_adopt(deployment, namespace, asked, undo, dry_run, (kubeconfig, context)))


async def _adopt(
    deployment: str, namespace: str | None, wishes: Wishes, undo: bool, dry_run: bool, place: tuple[str, str]
) -> None:
    from cloudbase.adopting import MANAGER, carry_out
    from kube.access import BadAccess
    from kube.client import Client
    from kube.errors import KubeError
    from kube.kubeconfig import Kubeconfig

    try:
        access = await Kubeconfig.load(*place)
        async with Client(access, agent=MANAGER) as client:
            where = namespace or access.namespace
            plan = await _plan(client, where, deployment, wishes, undo)
            _show(plan, deployment, undo, dry_run)
            for change in () if dry_run else plan.changes:
                await carry_out(client, where, change)
    except BadAccess as error:
        raise NoPlatform(str(error), "name a kubeconfig with --kubeconfig") from error
    except KubeError as error:
        raise _told(error) from error
    if not dry_run and not undo:
        too = ", and at its own address through it" if wishes.intercept else ""
        shown.note(f"{deployment} answers at /fn/{wishes.name or deployment} of the router{too}", "ready")


async def _plan(client: Client, namespace: str, name: str, wishes: Wishes, undo: bool) -> Plan:
    from cloudbase import adoption, interception
    from cloudbase.adopting import stale
    from kube.resource import DEPLOYMENTS, SERVICES, Resource
    from kube.watch import Scope

    autoscalers: Resource[dict[str, Any]] = Resource(
        "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", dict
    )
    deployment = await client.get(DEPLOYMENTS.decoded_as(dict), name, namespace)
    services = await _all(client, SERVICES.decoded_as(dict), Scope(namespace))
    if undo:
        return adoption.undo(deployment, services)
    intercepted = [each["metadata"]["name"] for each in services if interception.state(each)]
    left = [service for service in intercepted if await stale(client, namespace, service)]
    return adoption.adopt(deployment, services, await _all(client, autoscalers, Scope(namespace)), wishes, left)


async def _all(client: Client, resource: Any, scope: Any) -> list[dict[str, Any]]:
    return [item async for page in client.pages(resource, scope) for item in page.items]


def _show(plan: Plan, deployment: str, undo: bool, dry_run: bool) -> None:
    for change in plan.changes:
        click.echo(f"{TITLES.get(change.kind, change.kind)}/{change.name}{' (not changed: --dry-run)' if dry_run else ''}")
        for line in change.words:
            click.echo(f"  {line}")
    if not plan.changes:
        click.echo(f"{deployment} is adopted already: nothing to change")
    for warning in plan.warnings if not undo else ():
        shown.note(f"Note: {warning}", "progress")


def _told(error: Exception) -> CommandError:
    from kube import errors

    kinds: dict[type[Exception], type[CommandError]] = {errors.NotFound: NotFound, errors.Unreachable: NoPlatform}
    return kinds.get(type(error), Failed)(str(error), "")
