"""What of a function only a cluster can do, refused on one machine with a reason. Pure."""

from __future__ import annotations

from controller import validate
from controller.errors import FieldError
from controller.model import FunctionSpec

_ELSEWHERE = "needs a cluster"
_REFUSED = {
    "image": f"{_ELSEWHERE}: on one machine a function is a process made from its source",
    "git": f"{_ELSEWHERE}: send the files of a working copy instead",
    "envFrom": f"{_ELSEWHERE}, which has Secrets: write the variables into env",
    "imagePullSecrets": f"{_ELSEWHERE}: no image is pulled on one machine",
}


def check(name: str, spec: FunctionSpec) -> list[FieldError]:
    """Everything that cannot work on one machine: what `validate` finds, and what is a cluster's."""
    given = {"image": spec.image, "git": spec.git, "envFrom": spec.env_from, "imagePullSecrets": spec.image_pull_secrets}
    refused = [FieldError(field, _REFUSED[field]) for field, value in given.items() if value]
    if spec.runtime == "dockerfile":
        refused.append(FieldError("runtime", f"dockerfile {_ELSEWHERE}: use node or python"))
    return [*validate.validate(name, spec), *refused]
