"""A deployment that was sent: its events until it is Ready, what is said of one that is not, and how its end is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from cloudbase import output as shown
from cloudbase.errors import Failed, TookTooLong

if TYPE_CHECKING:  # it imports httpx2, which `--help` does not need
    from cloudbase.client import Client, View

Event = dict[str, str]  # "time", "type" (a condition, or "Build"), "status" (the condition's), "reason", "message"


def follow(client: Client, name: str, step: Callable[[str, str], None], within: float = 300.0) -> View:
    """Give `step` every line and its mood until the function is Ready.

    Raises Failed with the reason, TookTooLong after `within` seconds.
    """
    try:
        for event in client.events(name, within=within):
            if line := told(event):
                step(*line)
    except TookTooLong as error:
        hint = f"it goes on by itself: see `cloudbase describe {name}`, or wait longer with --timeout"
        raise TookTooLong(f"{name} is not ready after {within:g} s", hint) from error
    view = client.get(name)
    if not view["ready"] and not waiting(view):
        raise Failed(f"{name} did not become ready: {explanation(view)}", remedy(view))
    return view


def waiting(view: View) -> bool:
    """Whether what was built waits to be released."""
    return bool(view.get("reason") == "Unreleased")


def reached(view: View) -> str:
    """How far one came that was waited for."""
    return f"built: `cloudbase deploy {view['name']}` releases it" if waiting(view) else "ready"


def outcome(view: View, sentence: str, waited: bool, output: str) -> None:
    """Print what became of it: as JSON, or the sentence, who keeps the traffic whatever is deployed; the address."""
    if output == "json":
        shown.as_json(view)
        return
    shown.note(sentence, "ready" if waited else "")
    if stays := pinned(view):
        shown.note(stays)
    click.echo(view.get("url", ""))


def served(view: View) -> str:
    """The revision with the most traffic, "" when none has any."""
    return str(view.get("status", {}).get("revision", ""))


def pinned(view: View) -> str:
    """Who keeps the traffic whatever is deployed, as a sentence with the way to change that; "" when what is newest gets it."""
    named = [str(share.get("revision", "")) for share in view["spec"].get("traffic", [])]
    if not named or not all(named):
        return ""
    name, those = view["name"], " and ".join(named)
    return f"The traffic stays on {those}, as `traffic` says: `cloudbase rollback {name} --to newest` gives it to what is newest"


def told(event: Event) -> tuple[str, str] | None:
    """An event as one line and its mood: what a build writes and what goes on is "progress", what became of it stays.

    None: nothing new, since Ready repeats the others until it is True, and why it never is stands at the end.
    """
    text, kind, status = event.get("message") or event.get("reason", ""), event.get("type", ""), event.get("status", "")
    if kind == "Build":
        return (f"  {text}", "progress") if text != "Output" else None  # an empty line of what the build writes
    if kind == "Ready" and status != "True":
        return None
    if status == "True" or kind == "Subscribed":
        return f"{kind}: {text}", ""
    mood = "failed" if status == "False" and kind != "Routed" else "progress"
    return f"{kind}: {text}", mood


def explanation(view: View) -> str:
    """Why the function is not ready, by its conditions: the first that is False, else the reason that the platform gives."""
    conditions = view.get("status", {}).get("conditions", [])
    wrong = [each for each in conditions if each.get("status") == "False" and each.get("message")]
    first = next((each for each in wrong if each["type"] != "Ready"), wrong[0] if wrong else None)
    if first is None:
        return str(view.get("reason") or "no reason is known")
    return f"{first['reason']}: {first['message']}" if first.get("reason") else str(first["message"])


def remedy(view: View) -> str:
    """What to do about one that is not ready: what a build wrote was told, what a start wrote is in the log."""
    conditions = view.get("status", {}).get("conditions", [])
    if not any((each.get("type"), each.get("status")) == ("Built", "False") for each in conditions):
        return f"`cloudbase logs {view['name']}` shows what it wrote"
    serving = served(view)
    return "mend that and deploy again" + (f"; until then {serving} goes on serving" if serving else "")


def state(view: View) -> str:
    """One word or few for lists: "Ready", "Deploying", "Deleting", "Failed <Reason>"."""
    if view.get("deleting"):
        return "Deleting"
    if view.get("ready"):
        return "Ready"
    if waiting(view):
        return "Built"
    ready = [each for each in view.get("status", {}).get("conditions", []) if each.get("type") == "Ready"]
    failed = ready and ready[0].get("status") == "False" and ready[0].get("reason")
    return f"Failed {view.get('reason') or failed}" if failed else "Deploying"
