"""What logs and endings of real builds mean, in words: of Kaniko 1.28.3, and of the stand-in for it in the cluster's kit."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controller.kube.build import verdict
from controller.kube.build.reading import Reading
from controller.kube.build.verdict import Failure
from controller.laps import KINDS
from kube.model import (
    ContainerState,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Pod,
    PodCondition,
    PodStatus,
)

LOGS = Path(__file__).parent / "kaniko_logs"
RECORDED: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in sorted(LOGS.glob("*.json"))}

# case: (reason, words in the message)
FAILURES = {
    "syntax": ("SyntaxError", "npm install failed: package.json is not valid JSON"),
    "unknown": ("DependencyFailed", "npm install failed: there is no npm package no-such-package@1.0.0"),
    "away": ("RegistryUnavailable", "npm install failed: the package registry could not be reached"),
    "denied": ("RegistryDenied", "npm install failed: the package registry wants other credentials"),
    "images-away": (
        "ImageRegistryUnavailable",
        "check of the image registry, before the build, failed: the image registry could not be",
    ),
    "images-denied": ("ImageRegistryDenied", "the image registry wants other credentials"),
    "slow": ("Timeout", "RUN sleep 300 was not done when the build's 15 s were over"),
    "large": ("OutOfMemory", "needed more memory than a build has"),
    "own": ("BadDockerfile", "line 2: unknown instruction: RUNN"),
    "missing": ("BadDockerfile", "the Dockerfile names a file that is not in the source: "),
    "base": ("BaseImageMissing", "base image no/such:image failed: there is no such base image"),
    "step": ("StepFailed", "RUN echo it is broken; exit 3 failed (exited with status 3): it is broken"),
}


def read(recorded: dict[str, Any]) -> tuple[Pod, Reading, list[str]]:
    reading = Reading()
    told = [words for line in recorded["log"] for words in reading.feed(line)]
    return msgspec.convert({"status": recorded["status"]}, Pod), reading, told


@pytest.mark.parametrize("case", FAILURES)
@pytest.mark.parametrize("executor", RECORDED)
def test_each_failure_is_told_by_its_reason_step_and_cause(executor: str, case: str) -> None:
    pod, reading, _ = read(RECORDED[executor][case])
    failure = verdict.of_pod(pod, reading, 15.0)
    reason, words = FAILURES[case]
    assert failure.reason == reason
    assert words in failure.message
    assert len(failure.message) < 600 and "\n" not in failure.message


def test_both_executors_were_recorded_in_every_case() -> None:
    assert len(RECORDED) == 2
    assert all(FAILURES.keys() <= recorded.keys() for recorded in RECORDED.values())


@pytest.mark.parametrize("executor", RECORDED)
def test_progress_is_told_by_steps_and_not_by_the_executors_chatter(executor: str) -> None:
    _, reading, told = read(RECORDED[executor]["node-hello"])
    assert [words for words in told if not words.startswith("from the cache")] == [
        "base image node:22-alpine",
        "unpacking the base image",
        "COPY dependencies/ ./",
        "npm install",
        "COPY function/ ./",
        "COPY runtime/ /cloudbase/node/",
        told[-1],
    ]
    assert told[-1].startswith("pushing registry.test:5000/functions/default-node-hello:")
    assert not reading.error


@pytest.mark.parametrize("executor", RECORDED)
@pytest.mark.parametrize(
    ("case", "kinds"), [("node-hello", ["base", "copy", "dependencies", "copy", "push"]), ("step", ["base", "run"])]
)
def test_every_line_belongs_to_a_kind_of_step(executor: str, case: str, kinds: list[str]) -> None:
    reading, seen = Reading(), ["base"]
    for line in RECORDED[executor][case]["log"]:
        list(reading.feed(line))
        if reading.kind != seen[-1]:
            seen.append(reading.kind)
    assert set(seen) <= set(KINDS)
    assert [kind for kind, _ in itertools.groupby(each for each in seen if each != "cache")] == kinds


@pytest.mark.parametrize("executor", RECORDED)
def test_what_a_step_writes_is_told_line_by_line(executor: str) -> None:
    _, reading, told = read(RECORDED[executor]["step"])
    assert told[-2:] == ["it is broken", reading.error]


def test_only_what_may_pass_is_tried_again() -> None:
    again = {reason for reason, _ in FAILURES.values() if Failure(reason, "").may_pass}
    assert again == {"RegistryUnavailable", "ImageRegistryUnavailable", "Timeout"}


def test_json_that_a_step_writes_is_output_and_no_log() -> None:
    reading = Reading()
    assert list(reading.feed('{"answer": 42}')) == ['{"answer": 42}']
    assert list(reading.feed('{"msg": 42}')) == ['{"msg": 42}']


def test_a_long_instruction_is_shortened() -> None:
    reading = Reading()
    (told,) = reading.feed(json.dumps({"level": "info", "msg": f"RUN {'x' * 500}"}))
    assert len(told) == 160


# --- how pods end ---


def pod(
    name: str, *, ended: ContainerStateTerminated | None = None, waits: ContainerStateWaiting | None = None, **status: Any
) -> Pod:
    state = ContainerState(waiting=waits, terminated=ended)
    found = (ContainerStatus(name=name, state=state),)
    statuses = {"init_container_statuses": found} if name == "lay-down" else {"container_statuses": found}
    return Pod(status=PodStatus(phase="Failed", **statuses, **status))


def test_the_init_container_says_itself_what_is_wrong() -> None:
    words = "wget: something\nSourceMissing: the controller does not hand the source out (again): 410\n"
    failure = verdict.of_pod(pod("lay-down", ended=ContainerStateTerminated(1, message=words)), Reading(), 60)
    assert failure == Failure(
        "SourceMissing", "laying down the source failed: the controller does not hand the source out (again): 410"
    )
    silent = verdict.of_pod(pod("lay-down", ended=ContainerStateTerminated(127)), Reading(), 60)
    assert silent == Failure("BuilderFailed", "laying down the source failed with status 127: it said nothing")


def test_an_eviction_for_disk_is_the_sources_fault_and_another_is_not() -> None:
    full = 'Usage of EmptyDir volume "workspace" exceeds the limit "1Gi".'
    assert verdict.of_pod(pod("kaniko", reason="Evicted", message=full), Reading(), 60).reason == "SourceTooLarge"
    other = verdict.of_pod(pod("kaniko", reason="Evicted", message="The node was low on resource: memory."), Reading(), 60)
    assert (other.reason, other.may_pass) == ("Evicted", True)


def test_a_log_that_could_not_be_read_is_made_up_for_by_the_last_words_of_the_container() -> None:
    said = "npm error code E401\nerror building image: error building stage: waiting for process to exit: exit status 1\n"
    ended = ContainerStateTerminated(1, reason="Error", message=said)
    assert verdict.of_pod(pod("kaniko", ended=ended), Reading(), 60).reason == "RegistryDenied"


def test_a_pod_that_ended_without_a_word_is_lost() -> None:
    assert verdict.of_pod(Pod(status=PodStatus(phase="Failed", reason="NodeLost")), Reading(), 60).reason == "BuildLost"


def test_images_that_cannot_be_pulled_and_nodes_that_are_full_are_named() -> None:
    failure = verdict.waiting(pod("kaniko", waits=ContainerStateWaiting("ErrImagePull", "not found")))
    assert failure and failure.reason == "BuilderImageMissing" and "kaniko" in failure.message
    assert verdict.waiting(pod("kaniko", waits=ContainerStateWaiting("PodInitializing"))) is None
    condition = PodCondition(type="PodScheduled", status="False", reason="Unschedulable", message="0/1 nodes are available")
    assert verdict.unscheduled(Pod(status=PodStatus(conditions=(condition,)))) == "0/1 nodes are available"
    assert verdict.unscheduled(Pod()) == ""


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            "error pushing image: failed to push to destination r:5000/x: DENIED: requested access is denied",
            "ImageRegistryDenied",
        ),
        ("error pushing image: failed to push: Put https://r/v2: EOF", "ImageRegistryUnavailable"),
        (
            "error pushing image: failed to push: PUT https://r/v2/x: unexpected status code 503 Service Unavailable",
            "ImageRegistryUnavailable",
        ),
        ("error building image: getting stage builder: x509: certificate signed by unknown authority", "ImageRegistryUntrusted"),
        ("error building image: http: server gave HTTP response to HTTPS client", "ImageRegistryUntrusted"),
        ("error building image: error building stage: write /kaniko/1: no space left on device", "DiskFull"),
        ('error building image: could not parse reference: "A B"', "BadDockerfile"),
        ("error building image: something nobody has seen", "BuildFailed"),
        ("Error: unknown flag: --nonsense", "BuildFailed"),
    ],
)
def test_the_executors_last_words_are_understood(words: str, reason: str) -> None:
    reading = Reading()
    list(reading.feed(words))
    assert verdict.of_log(reading, 1, "").reason == reason
