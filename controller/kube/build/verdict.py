"""Why a build failed: from how its pod ended and what its log said to a reason, a sentence, and whether it may pass. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from controller.causes import cause
from controller.kube.build.reading import Reading
from controller.kube.build.render import EXECUTOR, LAY_DOWN
from kube.model import ContainerStatus, Pod

MAY_PASS = frozenset(
    {
        *("RegistryUnavailable", "ImageRegistryUnavailable", "GitUnavailable", "SourceUnreachable"),
        *("Timeout", "DiskFull", "Evicted", "BuildLost", "NotScheduled", "ClusterUnavailable"),
    }
)

# The executor's own last words, (pattern, reason, sentence); the first that matches counts.
_NETWORK = (
    r"connection refused|no such host|i/o timeout|network is unreachable|no route to host|connection reset|TLS handshake timeout"
    r"|server misbehaving|deadline exceeded|: EOF|\b50[0234]\b|TOOMANYREQUESTS|\b429\b"
)
_LAST_WORDS: tuple[tuple[str, str, str], ...] = (
    (r"parsing dockerfile|dockerfile parse error|unknown instruction|resolving dockerfile", "BadDockerfile", "the Dockerfile cannot be read"),
    (r"signal: killed|cannot allocate memory", "OutOfMemory", ""),
    (r"no space left on device", "DiskFull", "the disk of the build is full"),
    (r"server gave HTTP response to HTTPS client", "ImageRegistryUntrusted", "the image registry speaks plain HTTP: allow it in the build settings"),
    (r"x509:|certificate", "ImageRegistryUntrusted", "the image registry's certificate is not trusted"),
    (
        r"UNAUTHORIZED|DENIED|\b40[13]\b|authentication required|no basic auth",
        "ImageRegistryDenied",
        "the image registry wants other credentials",
    ),
    (_NETWORK, "ImageRegistryUnavailable", "the image registry could not be reached"),
    (r"MANIFEST_UNKNOWN|NAME_UNKNOWN|NOT_FOUND|\b404\b|manifest unknown", "BaseImageMissing", "there is no such base image"),
    (r"could not parse reference|repository can only contain", "BadDockerfile", "the Dockerfile's FROM names no image"),
    (r"no such file or directory|no source files|failed to get fileinfo|copy failed|file does not exist", "BadDockerfile", "the Dockerfile names a file that is not in the source"),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern, re.IGNORECASE if reason != "ImageRegistryDenied" else 0), reason, words) for pattern, reason, words in _LAST_WORDS)  # fmt: skip
_STATUS = re.compile(r"exit status (\d+)$")
_MISSING = re.compile(r"MANIFEST_UNKNOWN|NAME_UNKNOWN")
_PREFIX = re.compile(
    r'(error (building image|building stage|checking push permissions|pushing image): |checking push permission for "[^"]*": )+'
)
_PULL_FAILS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_START_FAILS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no image."""

    reason: str  # CamelCase
    message: str  # which step failed and why

    @property
    def may_pass(self) -> bool:
        return self.reason in MAY_PASS


def of_pod(pod: Pod, reading: Reading, deadline: float) -> Failure:
    """The failure of a build whose pod has ended without an image."""
    status = pod.status
    if status.reason == "DeadlineExceeded":
        return Failure("Timeout", f"{reading.step} was not done when the build's {deadline:g} s were over")
    if status.reason == "Evicted":
        return _evicted(status.message)
    lay_down, executor = container(pod, LAY_DOWN), container(pod, EXECUTOR)
    if ended := _exit(lay_down):
        return _laying_down(*ended)
    if executor and executor.state and executor.state.terminated and executor.state.terminated.reason == "OOMKilled":
        return _out_of_memory(reading)
    if ended := _exit(executor):
        return of_log(reading, *ended)
    return Failure("BuildLost", f"the build's pod ended without saying why: {status.message or status.reason or status.phase}")


def of_log(reading: Reading, code: int, last_words: str) -> Failure:
    """The failure of an executor that ended with a code; its log has been read as far as it was there."""
    if not reading.error:
        for line in last_words.splitlines():
            list(reading.feed(line))
    words = reading.error
    if _STATUS.search(words):
        return _step(reading, code)
    for pattern, reason, sentence in _COMPILED:
        if pattern.search(words):
            return _known(reading, reason, sentence)
    return Failure("BuildFailed", f"{_place(reading)} failed with status {code}: {_short(words or ' '.join(_last(reading)))}")


def _known(reading: Reading, reason: str, sentence: str) -> Failure:
    if reason == "OutOfMemory":
        return _out_of_memory(reading)
    if reason == "ImageRegistryUnavailable" and any(_MISSING.search(line) for line in reading.output):
        # It was asked for in a registry of the map first, which has no such image, and then where it says it is from.
        reason, sentence = "BaseImageMissing", "there is no such base image"
    place = "" if reason == "BadDockerfile" else f"{_place(reading)} failed: "
    return Failure(reason, f"{place}{sentence}: {_short(_PREFIX.sub('', reading.error))}")


def _place(reading: Reading) -> str:
    """What the executor was at."""
    if reading.error.startswith("error checking push"):
        return "the check of the image registry, before the build,"
    return "the push of the image" if reading.error.startswith("error pushing image") else reading.step


def waiting(pod: Pod) -> Failure | None:
    """Why a pod that has not started will not, as far as it can be told; None when there is nothing wrong yet."""
    for status in (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())):
        found = status.state.waiting if status.state else None
        if found and found.reason in _PULL_FAILS:
            return Failure("BuilderImageMissing", f"the image of the build's container {status.name} cannot be pulled: {found.message or found.reason}")  # fmt: skip
        if found and found.reason in _START_FAILS:
            return Failure("BuilderFailed", f"the build's container {status.name} cannot start: {found.message or found.reason}")
    return None


def unscheduled(pod: Pod) -> str:
    """Why no node takes the pod; "" when one did."""
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return condition.message or condition.reason
    return ""


def container(pod: Pod, name: str) -> ContainerStatus | None:
    both = (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))
    return next((each for each in both if each.name == name), None)


def _exit(status: ContainerStatus | None) -> tuple[int, str] | None:
    """Code and message of a container that has failed."""
    ended = status.state.terminated if status and status.state else None
    return (ended.exit_code, ended.message) if ended and ended.exit_code else None


def _laying_down(code: int, message: str) -> Failure:
    """The init container says "Reason: words" itself."""
    found = re.search(r"^([A-Z][A-Za-z]+): (.*)$", message, re.MULTILINE)
    if found:
        return Failure(found[1], f"laying down the source failed: {found[2]}")
    return Failure("BuilderFailed", f"laying down the source failed with status {code}: {_short(message) or 'it said nothing'}")


def _step(reading: Reading, code: int) -> Failure:
    """A RUN whose program failed: what it wrote says why."""
    output = [line for line in reading.output if line != reading.error]
    found = cause("\n".join(output))
    if found:
        return Failure(found[0], f"{reading.step} failed: {found[1]}")
    if code == 137 or any(line.strip() == "Killed" for line in output):
        return _out_of_memory(reading)
    return Failure("StepFailed", f"{reading.step} failed (exited with status {code}): {_short(' '.join(_last(reading))) or 'it wrote nothing'}")  # fmt: skip


def _out_of_memory(reading: Reading) -> Failure:
    return Failure(
        "OutOfMemory", f"{reading.step} needed more memory than a build has: raise the build's memory limit, or install less"
    )


def _evicted(message: str) -> Failure:
    if "exceeds the" in message or "exceeded its" in message:  # a limit of ours; else the node ran short
        return Failure("SourceTooLarge", f"the build took more disk than it may: {_short(message)}")
    return Failure("Evicted", f"the node needed the room: {_short(message)}")


def _last(reading: Reading) -> Iterator[str]:
    lines = [line for line in reading.output if line.strip() and line != reading.error]
    yield from lines[-1:]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 400 else f"{line[:399]}…"
