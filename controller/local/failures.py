"""Why a build failed, in words: a reason for programs and a sentence for people, from what the tools said."""

from __future__ import annotations

from collections.abc import Sequence

from controller.causes import cause


class BuildFailed(Exception):
    """A build ended without an artifact. `reason` is CamelCase, `str()` says which step failed, why, and what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def explain(step: str, ending: str, lines: Sequence[str]) -> BuildFailed:
    """The failure of a step ("npm ci") that ended ("exited with status 1") after writing these lines."""
    if found := cause("\n".join(lines)):
        return BuildFailed(found[0], f"{step} failed: {found[1]}")
    last = next((line for line in reversed(lines) if line.strip()), "it wrote nothing")
    reason = "SyntaxError" if step.startswith("check of") else "DependencyFailed"
    return BuildFailed(reason, f"{step} failed ({ending}): {last.strip()}")
