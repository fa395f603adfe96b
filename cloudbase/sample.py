"""The sample function `hello`: Node's where there is a node, else Python's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cloudbase.errors import Failed
from controller.local import toolchain

NAME = "hello"
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@dataclass(frozen=True, slots=True)
class Sample:
    """Which folder is deployed, and why this one, in words."""

    folder: Path
    why: str


def choose() -> Sample:
    """The sample for this machine. Raises Failed where the examples are not there."""
    try:
        sample = Sample(EXAMPLES / "node-hello", f"runs on Node ({toolchain.program('node')[0]})")
    except toolchain.RuntimeUnavailable:
        sample = Sample(EXAMPLES / "python-hello", "runs on Python, since there is no node on this machine")
    if not sample.folder.is_dir():
        raise Failed(f"the sample is not there: {sample.folder}", "run this in a clone, or begin with `cloudbase init`")
    return sample
