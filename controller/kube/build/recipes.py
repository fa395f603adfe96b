"""What the platform adds to sources: the Dockerfile of each runtime and its files, read once at the start."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from controller.kube.build.names import Recipe
from runtimes.catalog import RUNTIMES, Runtime


def recipes() -> Mapping[str, Recipe]:
    """By the name of the runtime."""
    return {name: _recipe(runtime) for name, runtime in RUNTIMES.items()}


def _recipe(runtime: Runtime) -> Recipe:
    return Recipe(runtime.dockerfile.read_text(), _packed(runtime.folder))


def _packed(folder: Path) -> bytes:
    """tar.gz of a folder, the same bytes for the same files."""
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, packed, mtime=0) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.name not in ("Dockerfile", "ruff.toml"):
                member = tarfile.TarInfo(str(path.relative_to(folder)))
                content = path.read_bytes()
                member.size, member.mode = len(content), 0o644
                tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()
