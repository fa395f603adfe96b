"""The manifests of a build: valid Kubernetes, no more rights than needed, and every setting where it belongs."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import kubernetes_validate
import pytest

from controller.facts import Facts
from controller.kube.build import names, render
from controller.kube.build.names import Recipe
from controller.kube.build.render import Task
from controller.kube.build.settings import BuildSettings, problems

DIGEST = "sha256:" + "ab" * 32
PLAIN = BuildSettings(registry="registry.example.com:5000/functions")
EVERYTHING = BuildSettings(
    registry="registry.example.com/functions",
    pull_registry="localhost:5000/functions",
    insecure=True,
    registry_map={"index.docker.io": "mirror:5000"},
    insecure_pull=True,
    registry_secret="push",
    image_pull_secrets=("pull",),
    npm_registry="http://npm.example.com/",
    pip_index="http://me@pip.example.com:8081/simple",
    package_ca="-----BEGIN CERTIFICATE-----",
    packages_secret="packages",
    handover="http://controller:8081",
    executor_arguments=("--snapshot-mode=redo",),
    node_selector={"pool": "builds"},
)
RECIPE = Recipe("ARG BASE\nFROM ${BASE}\n", b"runtime")
TASK = Task("0123456789abcdef0123", "default", "hello", DIGEST, ("package.json",), "node:22-alpine", RECIPE)
OWN = replace(TASK, recipe=None, base="", install=(), url="http://controller:8081/sources/key/token")


def whole(resource: str, manifest: dict[str, Any]) -> dict[str, Any]:
    version, kind = {"job": ("batch/v1", "Job"), "secret": ("v1", "Secret"), "result": ("v1", "ConfigMap")}[resource]
    return {"apiVersion": version, "kind": kind, **manifest}


@pytest.mark.parametrize("settings", [PLAIN, EVERYTHING])
@pytest.mark.parametrize("task", [TASK, OWN])
def test_every_manifest_is_valid(settings: BuildSettings, task: Task) -> None:
    for manifest in (
        whole("job", render.job(settings, task)),
        whole("secret", render.secret(settings, task)),
        whole("result", render.result(task, f"registry/x@{DIGEST}", 12.3, ("one", "two"))),
    ):
        kubernetes_validate.validate(manifest, "1.33", strict=True)


def pod(settings: BuildSettings = PLAIN, task: Task = TASK) -> dict[str, Any]:
    found = render.job(settings, task)["spec"]["template"]["spec"]
    assert isinstance(found, dict)
    return found


def test_a_build_has_the_least_rights_it_can_do_with() -> None:
    spec = pod()
    (lay_down,), (executor,) = spec["initContainers"], spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert lay_down["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert executor["securityContext"]["capabilities"] == {
        "drop": ["ALL"],
        "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"],
    }
    assert not any(each["securityContext"]["allowPrivilegeEscalation"] for each in (lay_down, executor))


def test_a_build_is_tried_once_and_ends_by_itself() -> None:
    job = render.job(replace(PLAIN, deadline=300), TASK)["spec"]
    assert (job["backoffLimit"], job["template"]["spec"]["activeDeadlineSeconds"]) == (0, 300)
    assert job["activeDeadlineSeconds"] > 300, "the pod's comes first, so that its log can still be read"
    assert job["ttlSecondsAfterFinished"]


def test_credentials_and_sources_reach_only_the_container_that_lays_them_down() -> None:
    (executor,) = pod(EVERYTHING)["containers"]
    assert {each["name"] for each in executor["volumeMounts"]} == {"workspace", "credentials", "packages"}
    assert not any("token" in word or "auth" in word.lower() for word in executor["args"])


def test_npm_and_pip_read_their_settings_from_mounts_which_no_image_keeps() -> None:
    places = {each["mountPath"] for each in pod(EVERYTHING)["containers"][0]["volumeMounts"]}
    assert {"/usr/local/etc/npmrc", "/etc/pip.conf", "/cloudbase-packages"} <= places
    plain = {each["mountPath"] for each in pod()["containers"][0]["volumeMounts"]}
    assert plain == {"/workspace", "/kaniko/.docker"}, "a base image's own settings are not hidden without need"


def test_package_settings_are_in_the_tools_own_words() -> None:
    data = {name: base64.b64decode(value).decode() for name, value in render.secret(EVERYTHING, TASK)["data"].items()}
    assert data["npmrc"] == "registry=http://npm.example.com/\ncafile=/cloudbase-packages/ca.crt\n"
    assert data["pip.conf"].splitlines() == [
        "[global]",
        "index-url = http://me@pip.example.com:8081/simple",
        "cert = /cloudbase-packages/ca.crt",
        "trusted-host = pip.example.com:8081",
    ]
    assert data["ca.crt"] == EVERYTHING.package_ca


def test_the_executor_is_told_where_to_push_what_to_cache_and_what_to_report() -> None:
    words = render.arguments(EVERYTHING, TASK)
    assert "--destination=registry.example.com/functions/default-hello:0123456789abcdef0123" in words
    assert "--cache-repo=registry.example.com/functions/default.cache" in words
    assert "--digest-file=/dev/termination-log" in words
    assert {
        "--insecure",
        "--insecure-pull",
        "--registry-map=index.docker.io=mirror:5000",
        "--build-arg=BASE=node:22-alpine",
    } <= set(words)
    assert words[-1] == "--snapshot-mode=redo"
    assert "--dockerfile=/workspace/context/Dockerfile" in render.arguments(PLAIN, OWN)
    assert not any(word.startswith("--cache") for word in render.arguments(replace(PLAIN, cache=False), TASK))


def test_a_small_source_is_mounted_and_a_large_one_fetched() -> None:
    volumes = {each["name"]: each for each in pod()["volumes"]}
    assert volumes["source"]["secret"]["secretName"] == names.source_name(DIGEST)
    assert "source" not in {each["name"] for each in pod(PLAIN, OWN)["volumes"]}
    assert base64.b64decode(render.secret(PLAIN, OWN)["data"]["url"]).decode() == OWN.url


def test_nodes_may_know_the_registry_by_another_name() -> None:
    artifact = names.artifact(EVERYTHING, names.image(EVERYTHING, "default", "hello"), DIGEST)
    assert artifact == f"localhost:5000/functions/default-hello@{DIGEST}"
    assert names.pushed(EVERYTHING, artifact) == ("functions/default-hello", DIGEST)


def key(settings: BuildSettings = PLAIN, recipe: Recipe | None = RECIPE, project: str = "default", source: str = DIGEST) -> str:
    return names.build_key(settings, recipe, project, source, "node", Facts(npm=("package.json",)))


def test_whatever_an_image_depends_on_makes_another_key_and_nothing_else_does() -> None:
    others = [
        key(replace(PLAIN, bases={"node": "node:24"})),
        key(replace(PLAIN, epoch="2")),
        key(replace(PLAIN, npm_registry="http://npm")),
        key(recipe=Recipe(RECIPE.dockerfile, b"another runtime")),
        key(recipe=None),
        key(project="other"),
        key(source="sha256:" + "cd" * 32),
    ]
    assert len({key(), *others}) == len(others) + 1
    assert key() == key(replace(PLAIN, deadline=1.0, executor="other:1"))


def test_settings_that_cannot_work_are_told_in_words() -> None:
    assert problems(PLAIN) == problems(EVERYTHING) == []
    bad = BuildSettings(registry="https://registry/", deadline=1, handover="controller:8081")
    told = " ".join(problems(bad))
    assert all(word in told for word in ("registry is not", "deadline", "handover"))
