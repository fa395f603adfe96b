"""The sample function `hello`: Node's where there is a node, else Python's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cloudbase.errors import Failed
from cloudbase.pack import pack
from controller import archive, tarball
from controller.local import toolchain

NAME = "hello"
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NODE, PYTHON = "node-hello", "python-hello"


@dataclass(frozen=True, slots=True)
class Sample:
    """Which folder is deployed, and why this one, in words."""

    folder: Path
    why: str


def choose() -> Sample:
    """The sample for this machine. Raises Failed where the examples are not there."""
    try:
        sample = Sample(EXAMPLES / NODE, f"runs on Node ({toolchain.program('node')[0]})")
    except toolchain.RuntimeUnavailable:
        sample = Sample(EXAMPLES / PYTHON, "runs on Python, since there is no node on this machine")
    if not sample.folder.is_dir():
        raise Failed(f"the sample is not there: {sample.folder}", "run this in a clone, or begin with `cloudbase init`")
    return sample


def source(folder: Path) -> str:
    """The digest by which the platform knows a folder's files."""
    limits = archive.Limits()
    return archive.digest(tarball.read(pack(folder).archive, limits))


def sources() -> set[str]:
    """Of both samples: what `hello` has when nobody has put a function of his own there."""
    return {source(EXAMPLES / name) for name in (NODE, PYTHON)}
