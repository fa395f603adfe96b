"""The objects of a build as manifests: the Job, the Secret that it reads, the ConfigMap that keeps what became of it. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.kube.build import names
from controller.kube.build.names import Recipe
from controller.kube.build.script import SCRIPT
from controller.kube.build.settings import BuildSettings

Manifest = dict[str, Any]

EXECUTOR = "kaniko"
LAY_DOWN = "lay-down"
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")  # the least that the executor can do with
SLACK = 120  # seconds beyond the pod's deadline that the Job has: for a pod that no node takes
KEPT = 3600  # seconds that a finished Job stays when no controller is there to take it away
_LAST_WORDS = "FallbackToLogsOnError"


@dataclass(frozen=True, slots=True)
class Task:
    """One build: what of, and where to."""

    key: str
    project: str
    function: str
    source: str  # "sha256:<hex>"
    install: tuple[str, ...]
    base: str  # image that FROM is to name; "" with the source's own Dockerfile
    recipe: Recipe | None  # None: the source's own Dockerfile
    url: str = ""  # where the init container fetches the source; "" = it is in its Secret

    @property
    def labels(self) -> dict[str, str]:
        return names.labels("build", {names.BUILD: self.key, names.NAMESPACE: self.project, names.FUNCTION: self.function})


def job(settings: BuildSettings, task: Task) -> Manifest:
    """The Job, without apiVersion and kind."""
    name = names.job_name(task.key)
    pod: Manifest = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "activeDeadlineSeconds": int(settings.deadline),
        "terminationGracePeriodSeconds": 5,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": [_lay_down(settings, task)],
        "containers": [_executor(settings, task)],
        "volumes": _volumes(settings, task),
    }
    if settings.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": each} for each in settings.image_pull_secrets]
    if settings.node_selector:
        pod["nodeSelector"] = dict(settings.node_selector)
    return {
        "metadata": {"name": name, "labels": task.labels, "annotations": {names.SOURCE: task.source}},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(settings.deadline) + SLACK,
            "ttlSecondsAfterFinished": KEPT,
            "template": {"metadata": {"labels": task.labels}, "spec": pod},
        },
    }


def secret(settings: BuildSettings, task: Task) -> Manifest:
    """What the init container lays down beside the source."""
    certificate = "cafile=/cloudbase-packages/ca.crt" if settings.package_ca else ""
    content = {
        "Dockerfile": (task.recipe.dockerfile if task.recipe else "").encode(),
        "runtime.tar.gz": task.recipe.runtime if task.recipe else b"",
        "npmrc": _lines(settings.npm_registry and f"registry={settings.npm_registry}", certificate),
        "pip.conf": _pip_conf(settings),
        "ca.crt": settings.package_ca.encode(),
        "url": task.url.encode(),
    }
    return {
        "metadata": {"name": names.job_name(task.key), "labels": task.labels, "annotations": {names.SOURCE: task.source}},
        "data": {name: base64.b64encode(value).decode() for name, value in content.items()},
    }


def result(task: Task, artifact: str, seconds: float, log: Sequence[str]) -> Manifest:
    """What is kept of a build that made an image."""
    return {
        "metadata": {
            "name": names.result_name(task.key),
            "labels": {**task.labels, names.KIND: "result"},
            "annotations": {names.SOURCE: task.source},
        },
        "data": {"artifact": artifact, "seconds": f"{seconds:.1f}", "log": "\n".join(log)},
    }


def arguments(settings: BuildSettings, task: Task) -> list[str]:
    """The executor's command line."""
    dockerfile = "/workspace/Dockerfile" if task.recipe else "/workspace/context/Dockerfile"
    flags = [
        "--context=dir:///workspace/context",
        f"--dockerfile={dockerfile}",
        f"--destination={names.image(settings, task.project, task.function)}:{task.key}",
        "--digest-file=/dev/termination-log",
        "--log-format=json",
        "--push-retry=2",
        "--image-download-retry=2",
        "--compressed-caching=false",  # keeps layers on disk, not in memory
    ]
    flags += [f"--build-arg=BASE={task.base}"] if task.base else []
    flags += _registry_flags(settings)
    if settings.cache:
        flags += [
            "--cache=true",
            f"--cache-repo={names.cache(settings, task.project)}",
            f"--cache-ttl={_hours(settings.cache_ttl)}",
        ]
    return [*flags, *settings.executor_arguments]


def _registry_flags(settings: BuildSettings) -> list[str]:
    flags = ["--insecure"] if settings.insecure else []
    flags += ["--insecure-pull"] if settings.insecure_pull else []
    return flags + [f"--registry-map={original}={mirror}" for original, mirror in sorted(settings.registry_map.items())]


def _hours(seconds: float) -> str:
    return f"{max(1, round(seconds / 3600))}h"


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines if line).encode()


def _pip_conf(settings: BuildSettings) -> bytes:
    index = settings.pip_index and f"index-url = {settings.pip_index}"
    certificate = "cert = /cloudbase-packages/ca.crt" if settings.package_ca else ""
    host = _plain_host(settings.pip_index)
    return _lines("[global]", index, certificate, host and f"trusted-host = {host}")


def _plain_host(url: str) -> str:
    """The host of an index without TLS, which pip refuses unless it is told to trust it."""
    if not url.startswith("http://"):
        return ""
    return url.removeprefix("http://").partition("/")[0].rpartition("@")[2]


# --- containers ---


def _lay_down(settings: BuildSettings, task: Task) -> Manifest:
    environment = {"SOURCE": task.source, "INSTALL": " ".join(task.install), "OWN": "" if task.recipe else "1"}
    mounts = {"workspace": "/workspace", "credentials": "/credentials", "packages": "/packages"}
    mounts |= {"plan": "/in/plan"} | ({} if task.url else {"source": "/in/source"})
    mounts |= {"registry": "/in/registry"} if settings.registry_secret else {}
    mounts |= {"operator-packages": "/in/packages"} if settings.packages_secret else {}
    return {
        "name": LAY_DOWN,
        "image": settings.busybox,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", SCRIPT],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "terminationMessagePolicy": _LAST_WORDS,
        "resources": {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
        "securityContext": {
            "runAsUser": 0,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
    }


def _executor(settings: BuildSettings, task: Task) -> Manifest:
    return {
        "name": EXECUTOR,
        "image": settings.executor,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments(settings, task),
        "terminationMessagePolicy": _LAST_WORDS,  # the digest, or why there is none
        "resources": {
            "requests": {"cpu": settings.cpu_request, "memory": settings.memory_request},
            "limits": {"cpu": settings.cpu_limit, "memory": settings.memory_limit, "ephemeral-storage": settings.disk},
        },
        "securityContext": {
            "runAsUser": 0,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"], "add": list(CAPABILITIES)},
        },
        "volumeMounts": [
            {"name": "workspace", "mountPath": "/workspace"},
            {"name": "credentials", "mountPath": "/kaniko/.docker", "readOnly": True},
            *_package_mounts(settings),
        ],
    }


def _package_mounts(settings: BuildSettings) -> list[Manifest]:
    """Where npm and pip look for settings of the whole machine. Mounts are left out of images, so credentials are too."""
    given = bool(settings.packages_secret or settings.package_ca)
    mounts: list[Manifest] = []
    if given:
        mounts.append({"name": "packages", "mountPath": "/cloudbase-packages", "readOnly": True})
    if given or settings.npm_registry:
        mounts.append({"name": "packages", "mountPath": "/usr/local/etc/npmrc", "subPath": "npmrc", "readOnly": True})
    if given or settings.pip_index:
        mounts.append({"name": "packages", "mountPath": "/etc/pip.conf", "subPath": "pip.conf", "readOnly": True})
    return mounts


def _volumes(settings: BuildSettings, task: Task) -> list[Manifest]:
    volumes: list[Manifest] = [
        {"name": "workspace", "emptyDir": {"sizeLimit": settings.workspace}},
        {"name": "credentials", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "packages", "emptyDir": {"medium": "Memory", "sizeLimit": "4Mi"}},
        {"name": "plan", "secret": {"secretName": names.job_name(task.key)}},
    ]
    if not task.url:
        volumes.append({"name": "source", "secret": {"secretName": names.source_name(task.source)}})
    if settings.registry_secret:
        volumes.append(_from_secret("registry", settings.registry_secret, {".dockerconfigjson": "config.json"}))
    if settings.packages_secret:
        volumes.append({"name": "operator-packages", "secret": {"secretName": settings.packages_secret}})
    return volumes


def _from_secret(name: str, secret_name: str, items: Mapping[str, str]) -> Manifest:
    paths = [{"key": key, "path": path} for key, path in items.items()]
    return {"name": name, "secret": {"secretName": secret_name, "items": paths}}
