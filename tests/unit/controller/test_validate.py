"""What is said of documents that cannot work: the words that the API and a cluster's admission share."""

from __future__ import annotations

import pytest

from controller.errors import Invalid
from controller.local import refusals
from controller.model import FunctionSpec, Git, Resources, Scaling, Share, Trigger
from controller.quantity import cpus, memory_bytes
from controller.validate import decode, policy, validate
from tests.shared.controller_world import spec

TRIGGER = Trigger(broker="nats", subject="orders")


def told(document: object) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        decode(document)
    return {error.field: error.message for error in caught.value.errors}


def test_a_whole_document_is_decoded_in_camel_case() -> None:
    decoded = decode({"runtime": "node", "scaling": {"min": 1, "idleGrace": 5}, "timeout": 3, "env": {"A": "b"}})
    assert (decoded.scaling.idle_grace, decoded.timeout, decoded.env) == (5.0, 3.0, {"A": "b"})


def test_every_error_of_shape_is_told_at_once() -> None:
    document = {"scalling": 1, "scaling": {"mins": 1, "max": "a", "metric": "cpu"}, "env": {"A": 1}, "triggers": [{"broker": 1}]}
    assert told(document) == {
        "scalling": "is not a field; did you mean scaling?",
        "env.A": "must be text, was 1",
        "scaling.mins": "is not a field; did you mean min?",
        "scaling.max": "must be a whole number, was text",
        "scaling.metric": 'must be concurrency or rps, was "cpu"',
        "triggers[0].broker": "must be text, was 1",
        "triggers[0].subject": "is missing",
    }


@pytest.mark.parametrize(
    ("document", "field", "words"),
    [
        (None, "spec", "must be an object, was null"),
        ([], "spec", "must be an object, was a list"),
        ({"runtime": "node", "env": []}, "env", "must be an object, was a list"),
        ({"runtime": "node", "triggers": {}}, "triggers", "must be a list, was an object"),
        ({"runtime": "node", "scaling": {"min": 1.5}}, "scaling.min", "must be a whole number, was 1.5"),
        ({"runtime": "node", "timeout": True}, "timeout", "must be a number, was a boolean"),
        ({"runtime": "node", "zzz": 1}, "zzz", "is not a field; there are bodyLimit, clientAbort, concurrency, "),
    ],
)
def test_errors_of_shape_are_told_in_plain_words(document: object, field: str, words: str) -> None:
    assert told(document)[field].startswith(words)


def test_what_is_usual_is_valid() -> None:
    assert validate("hello-2", spec()) == []
    assert validate("0", spec(type="EVENT", triggers=(TRIGGER,), env={"_A1": "x"}, entry="src/app.js", concurrency=1)) == []
    assert validate("a" * 52, spec(scaling=Scaling(min=2, max=2, initial=0, metric="rps", target=9), timeout=0)) == []


def test_an_image_of_ones_own_a_repository_and_shares_of_the_traffic_are_valid() -> None:
    assert validate("f", FunctionSpec(image="registry.example:5000/team/app:1.2@sha256:" + "0" * 64, port=3000)) == []
    assert validate("f", FunctionSpec(image="nginx")) == []
    assert validate("f", FunctionSpec(runtime="python", git=Git(url="https://host/x.git", ref="v1", path="api"))) == []
    assert validate("f", spec(traffic=(Share(revision="f-00001", percent=90), Share(percent=10)), replicas=0)) == []
    decoded = decode({"image": "a:1", "git": None, "envFrom": ["s"], "traffic": [{"percent": 100}], "replicas": None})
    assert (decoded.git, decoded.env_from, decoded.traffic, decoded.replicas) == (None, ("s",), (Share(percent=100),), None)
    assert told({"git": {"ulr": "x"}, "replicas": "2"}) == {
        "git.ulr": "is not a field; did you mean url?",
        "git.url": "is missing",
        "replicas": "must be a whole number, was text",
    }


def test_on_one_machine_what_only_a_cluster_can_do_is_refused_with_a_reason() -> None:
    assert refusals.check("f", spec()) == []
    image = refusals.check("f", FunctionSpec(image="a:1", env_from=("s",), image_pull_secrets=("p",)))
    assert [each.field for each in image] == ["image", "envFrom", "imagePullSecrets"]
    git = refusals.check("f", FunctionSpec(runtime="dockerfile", git=Git(url="https://h/x")))
    assert [str(each).partition(":")[0] for each in git] == ["git", "runtime"]


WRONG: list[tuple[str, FunctionSpec, str, str]] = [
    ("", spec(), "name", "is missing"),
    ("Hello", spec(), "name", "is not a DNS label"),
    ("a" * 53, spec(), "name", "has 53 characters: 52 are allowed"),
    ("f", spec(type="HTTP", triggers=(TRIGGER,)), "triggers", "must be empty"),
    ("f", spec(type="EVENT"), "triggers", "needs at least one"),
    ("f", spec(type="EVENT", triggers=(TRIGGER, TRIGGER)), "triggers[1]", "same as triggers[0]"),
    ("f", spec(type="EVENT", triggers=(Trigger(broker=" ", subject="s"),)), "triggers[0].broker", "is empty"),
    ("f", FunctionSpec(runtime="nodejs", source=spec().source), "runtime", "did you mean node?"),
    ("f", FunctionSpec(source=spec().source), "runtime", "is missing: use node, python or dockerfile, or give an image"),
    ("f", FunctionSpec(image="Not An Image"), "image", "is not the name of an image"),
    ("f", FunctionSpec(image="a/b:1", runtime="node"), "runtime", "must be absent with an image"),
    ("f", FunctionSpec(image="a/b:1", port=70000), "port", "must be from 0 to 65535"),
    ("f", spec(port=80), "port", "must be absent without an image"),
    ("f", FunctionSpec(runtime="node", git=Git(url="/etc")), "git.url", "is not the address of a repository"),
    ("f", FunctionSpec(runtime="node", git=Git(url="https://me:pw@host/x")), "git.url", "must not have a user or password"),
    ("f", FunctionSpec(runtime="node", git=Git(url="git@host:x", ref="-x")), "git.ref", "is not a branch"),
    ("f", FunctionSpec(runtime="node", git=Git(url="ssh://h/x", path="../y")), "git.path", "is not a path inside"),
    ("f", spec(git=Git(url="https://h/x")), "source", "must be absent with git"),
    ("f", spec(env_from=("A",)), "envFrom[0]", "is not the name of a Secret"),
    ("f", spec(image_pull_secrets=("",)), "imagePullSecrets[0]", "is not the name of a Secret"),
    ("f", spec(replicas=-1), "replicas", "must be from 0 to 1000"),
    ("f", spec(traffic=(Share(percent=90),)), "traffic", "must add up to 100 percent, was 90"),
    ("f", spec(traffic=(Share(percent=50), Share(percent=50))), "traffic[1].revision", "is given twice"),
    ("f", spec(traffic=(Share(revision="g-00001", percent=100),)), "traffic[0].revision", "is no revision of f"),
    ("f", FunctionSpec(runtime="node"), "source", "is missing: send the function's files"),
    ("f", FunctionSpec(runtime="node", source="sha256:../../x"), "source", "is not a digest"),
    ("f", spec(entry="../a.js"), "entry", "is not a path inside the source"),
    ("f", spec(entry="/a.js"), "entry", "is not a path inside the source"),
    ("f", spec(env={"A-B": ""}), "env.A-B", "is not a name of an environment variable"),
    ("f", spec(env={"PORT": "1"}), "env.PORT", "is set by the platform"),
    ("f", spec(env={"CLOUDBASE_X": "1"}), "env.CLOUDBASE_X", "is set by the platform"),
    ("f", spec(env={"A": "\0"}), "env.A", "NUL"),
    ("f", spec(env={"A": "x" * 65_537}), "env.A", "longer than 64 KiB"),
    ("f", spec(env={f"A{n}": "x" * 60_000 for n in range(5)}), "env", "larger than 256 KiB"),
    ("f", spec(scaling=Scaling(min=3, max=2)), "scaling.min", "is 3, above scaling.max, which is 2"),
    ("f", spec(scaling=Scaling(min=-1)), "scaling.min", "must be from 0 to 1000, was -1"),
    ("f", spec(scaling=Scaling(max=0)), "scaling.max", "must be from 1"),
    ("f", spec(scaling=Scaling(max=2, initial=3)), "scaling.initial", "above scaling.max"),
    ("f", spec(scaling=Scaling(idle_grace=float("nan"))), "scaling.idleGrace", "must be from 0"),
    ("f", spec(scaling=Scaling(target=20), concurrency=10), "scaling.target", "never lets it reach"),
    ("f", spec(resources=Resources(memory="256 MB")), "resources.memory", "is not a quantity"),
    ("f", spec(resources=Resources(memory="1Mi")), "resources.memory", "must be at least 16Mi"),
    ("f", spec(resources=Resources(cpu="one")), "resources.cpu", "is not a quantity"),
    ("f", spec(resources=Resources(cpu="1m")), "resources.cpu", "must be at least 10m"),
    ("f", spec(timeout=-1), "timeout", "must be from 0"),
    ("f", spec(timeout=60, max_duration=30), "maxDuration", "the timeout could never be used"),
    ("f", spec(timeout=60, drain_timeout=30), "drainTimeout", "an update would cut requests off"),
    ("f", spec(concurrency=-1), "concurrency", "must be from 0 to 10000"),
    ("f", spec(queue_limit=-1), "queueLimit", "must be from 0"),
    ("f", spec(queue_bytes=-1), "queueBytes", "must be from 0"),
    ("f", spec(body_limit=-1), "bodyLimit", "must be from 0"),
    ("f", spec(sticky="cookie:a b"), "sticky", 'must be "cookie:NAME" or "header:NAME"'),
    ("f", spec(upgrades=("websocket", "a b")), "upgrades[1]", "is not the name of a protocol"),
]


@pytest.mark.parametrize(("name", "wrong", "field", "words"), WRONG)
def test_what_cannot_work_is_told_by_field_and_in_words(name: str, wrong: FunctionSpec, field: str, words: str) -> None:
    errors = {error.field: error.message for error in validate(name, wrong)}
    assert list(errors) == [field]
    assert words in errors[field]


def test_the_policy_follows_the_scaling() -> None:
    derived = policy(spec(scaling=Scaling(min=1, max=4, idle_grace=5.0)))
    assert (derived.minimum, derived.maximum, derived.target, derived.idle_grace) == (1, 4, 70.0, 5.0)
    assert policy(spec(concurrency=10)).target == 7.0
    assert policy(spec(scaling=Scaling(metric="rps"))).target == 140.0
    assert policy(spec(scaling=Scaling(target=3), concurrency=10)).target == 3.0


@pytest.mark.parametrize(
    ("text", "number"), [("256Mi", 1 << 28), ("1Gi", 1 << 30), ("1k", 1000), ("1.5Ki", 1536), ("100", 100), ("1500m", 2)]
)
def test_memory_is_read_as_kubernetes_reads_it(text: str, number: int) -> None:
    assert memory_bytes(text) == number


def test_cpus_are_read_as_kubernetes_reads_them() -> None:
    assert [cpus(text) for text in ("500m", "2", "0.1")] == [0.5, 2.0, 0.1]
    for text in ("", "-1", "1e3", "1 Gi", "Mi", "٣"):
        with pytest.raises(ValueError, match="is not a quantity"):
            cpus(text)
