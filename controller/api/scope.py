"""Which functions a request is about: those of the namespace in its query."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request

from controller.api.wishes import EVERYWHERE
from controller.model import Function
from controller.ports import FunctionStore

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scope:
    """The namespaces that there are."""

    usual: str = "default"  # where none is asked for
    many: bool = False  # there are others: so it is in a cluster

    def namespace(self, request: Request) -> str:
        """The one that is asked for. Raises HTTPException 400."""
        asked = request.query_params.get("namespace") or self.usual
        if not self.many and asked != self.usual:
            raise HTTPException(400, f'there is one namespace on one machine, "{self.usual}": leave the parameter namespace out')
        if not _NAMESPACE.fullmatch(asked):
            raise HTTPException(400, f'"{asked[:80]}" is no name of a namespace: it is a DNS label')
        return asked

    def listed(self, request: Request) -> str | None:
        """The same for a list, where "*" asks for all: None."""
        return None if request.query_params.get("namespace") == EVERYWHERE else self.namespace(request)

    def found(self, store: FunctionStore, request: Request) -> Function:
        """The function that the path names. Raises HTTPException 404, 400."""
        namespace, name = self.namespace(request), request.path_params["name"]
        function = store.get(namespace, name)
        if function is None:
            where = f" in the namespace {namespace}" if self.many else ""
            raise HTTPException(404, f'there is no function "{name[:80]}"{where}')
        return function
