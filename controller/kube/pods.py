"""What a pod tells about the replica that it is: whether it can take requests, and if not, why, in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from controller.kube.names import REVISION
from controller.kube.objects import Child
from controller.ports import Replica
from kube.model import ContainerStatus, Pod

WORDS = 600  # characters of last words
LINES = 3  # lines of them
_HINTS = (
    (re.compile("runAsNonRoot|run as root"), "give the image a numeric USER other than 0: functions do not run as root"),
    (re.compile("violates PodSecurity"), "the namespace's pod security forbids it"),
)


def replica(pod: Pod, words: str = "") -> Replica:
    """The pod as a replica. Its address is its IP: the routers know the port. `words`: what one that runs unready last wrote."""
    containers = pod.status.container_statuses or ()
    return Replica(
        name=pod.metadata.name,
        revision=(pod.metadata.labels or {}).get(REVISION, ""),
        address=pod.status.pod_ip,
        ready=_is(pod, "Ready") and not pod.metadata.deletion_timestamp,
        restarts=sum(each.restart_count for each in containers),
        message="" if _is(pod, "Ready") else _hinted(next(_reasons(pod), _mute(words))),
        crash_loop=any(_loops(each) for each in containers),
        stopping=bool(pod.metadata.deletion_timestamp) or pod.status.phase in ("Succeeded", "Failed"),
    )


def silent(pod: Pod) -> bool:
    """It runs, is not ready, and its status says nothing of why."""
    states = [each.state for each in pod.status.container_statuses or ()]
    running = bool(states) and all(state and not state.waiting and not state.terminated for state in states)
    return running and not _is(pod, "Ready") and not pod.metadata.deletion_timestamp and not any(_reasons(pod))


def unable(deployment: Child) -> Replica | None:
    """The pod that a Deployment may not make (quota, pod security), as a replica that says why."""
    for each in deployment.status.conditions or ():
        if each.type == "ReplicaFailure" and each.status == "True":
            revision = (deployment.metadata.labels or {}).get(REVISION, "")
            return Replica(name=deployment.metadata.name, revision=revision, message=_hinted(f"{each.reason}: {each.message}"))
    return None


def _is(pod: Pod, kind: str) -> bool:
    return any(each.type == kind and each.status == "True" for each in pod.status.conditions or ())


def _loops(container: ContainerStatus) -> bool:
    waiting = container.state.waiting if container.state else None
    return container.restart_count > 0 and waiting is not None and waiting.reason == "CrashLoopBackOff"


def _mute(words: str) -> str:
    return f"it runs and does not answer on its port; it last wrote: {words}" if words else ""


def _reasons(pod: Pod) -> Iterator[str]:
    """What keeps it from being ready, the most telling first."""
    for each in pod.status.container_statuses or ():
        yield from _container(each)
    if pod.status.reason:
        yield f"{pod.status.reason}: {pod.status.message}"
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            yield f"{condition.reason}: {condition.message}"


def _container(status: ContainerStatus) -> Iterator[str]:
    """A running one that is not ready has nothing to say but how its predecessor ended."""
    ended = None
    for state in (status.state, status.last_state):
        ended = ended or (state.terminated if state else None)
    if ended is not None:
        how = f"was ended by signal {ended.signal}" if ended.signal else f"exited with status {ended.exit_code}"
        how = {"OOMKilled": "used more memory than resources.memory allows"}.get(ended.reason, how)
        words = last_words(ended.message)
        yield f"{how}: {words}" if words else how
    waiting = status.state.waiting if status.state else None
    if waiting is not None and waiting.reason not in ("", "ContainerCreating", "PodInitializing", "CrashLoopBackOff"):
        yield f"{waiting.reason}: {waiting.message}" if waiting.message else waiting.reason


def last_words(text: str) -> str:
    """The last lines of a log that say something; of records in JSON, as our runtimes write them, the message."""
    found = (line.strip() for each in text.splitlines() for line in _message(each.strip()).splitlines())
    lines = [line for line in found if line]
    return " | ".join(lines[-LINES:])[-WORDS:]


def _message(line: str) -> str:
    if not line.startswith("{"):
        return line
    try:
        record = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line
    message = record.get("message") if isinstance(record, dict) else None
    return message if isinstance(message, str) else line


def _hinted(message: str) -> str:
    hint = next((hint for pattern, hint in _HINTS if pattern.search(message)), "")
    return f"{message}; {hint}" if hint else message
