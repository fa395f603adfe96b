"""`cloudbase describe`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from cloudbase import output as shown
from cloudbase.commands.options import connect, connects, names, prints
from cloudbase.deploying import state
from cloudbase.place import Place


@click.command("describe")
@names
@prints
@connects
def command(place: Place, name: str, output: str) -> None:
    """Show one function: its settings, state and address."""
    with connect(place) as client:
        view = client.get(name)
    if output == "json":
        shown.as_json(view)
        return
    width = max(len(label) for label, _ in _facts(view)) + 2
    for label, text in _facts(view):
        click.echo(f"{click.style((label + ':').ljust(width), bold=True)}{text}")
    conditions = view["status"].get("conditions", [])
    if conditions:
        click.echo()
        shown.table(("Condition", "Status", "Since", "Reason", "Message"), [_condition(each) for each in conditions])


def _facts(view: dict[str, Any]) -> Iterator[tuple[str, str]]:
    spec, status = view["spec"], view["status"]
    scaling = spec.get("scaling", {})
    yield "Name", view["name"]
    yield "State", state(view)
    yield "Address", view.get("url", "")
    yield "Type", f"{spec.get('type', 'HTTP')}, {_program(spec)}"
    yield "Revision", f"{status.get('revision') or 'none yet'} (generation {view['generation']})"
    yield "Replicas", f"{view['replicas']} ready, {status.get('wanted', 0)} wanted"
    yield "Scaling", _scaling(scaling)
    yield "Resources", ", ".join(f"{key} {value}" for key, value in spec.get("resources", {}).items())
    yield "Timeout", f"{spec.get('timeout', 60):g} s"
    yield "Source", _source(spec)
    if build := status.get("build"):
        yield "Built", _built(build)
    yield "Updated", f"{view.get('updatedAt', '')} ({shown.ago(view.get('updatedAt', ''))} ago)"
    for key, value in sorted(spec.get("env", {}).items()):
        yield f"Env {key}", value


def _program(spec: dict[str, Any]) -> str:
    """What runs."""
    what = spec.get("runtime") or f"image {spec.get('image', '')}"
    return f"{what}, entry {spec['entry']}" if spec.get("entry") else what


def _source(spec: dict[str, Any]) -> str:
    """What it is built from; nothing of an image."""
    git = spec.get("git") or {}
    if not git:
        return str(spec.get("source", ""))
    return " ".join([git["url"], *(f"{key} {git[key]}" for key in ("ref", "path") if git.get(key))])


def _built(build: dict[str, Any]) -> str:
    """How the last build ended."""
    failure = build.get("failure")
    how = f"failed, {failure.get('reason')}" if failure else "found done" if build.get("cached") else "done"
    commit = f", commit {build['commit']}" if build.get("commit") else ""
    return f"{how} in {build.get('seconds', 0):g} s{commit}"


def _scaling(scaling: dict[str, Any]) -> str:
    target = f"{scaling['target']:g}" if scaling.get("target") else "the default"
    rule = f"{scaling.get('metric', 'concurrency')}, target {target}"
    return f"{scaling.get('min', 0)} to {scaling.get('max', 10)} by {rule}; idle after {scaling.get('idleGrace', 30):g} s"


def _condition(each: dict[str, str]) -> list[str]:
    since = shown.ago(each.get("lastTransitionTime", ""))
    return [each["type"], each["status"], since, each.get("reason", ""), each.get("message", "")]
