"""The API server's refusals as what the reconciler knows: what passes by itself, and what a person has to do something about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from controller.errors import ControllerError, Passing
from kube.errors import Forbidden, Invalid, KubeError
from kube.lease import NotLeading


class NotAllowed(ControllerError):
    """The API server does not take what a function needs: a quota, a policy, rights, a field that it finds wrong."""


@contextmanager
def translated() -> Iterator[None]:
    """Around writes. Raises NotAllowed and Passing."""
    try:
        yield
    except (Forbidden, Invalid) as error:
        raise NotAllowed(f"Kubernetes refuses {error.attempt}: {error.message}") from error
    except (KubeError, NotLeading) as error:
        raise Passing(str(error)) from error
