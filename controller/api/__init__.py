"""The management API, `/api/v1`: functions in and out over HTTP, for who bears a token that allows it.

It runs code on behalf of who calls it, so nothing of it answers without a token, nor to a web page.
"""

from __future__ import annotations

from controller.api.app import create_app
from controller.api.guard import Token
from controller.api.scope import Scope

__all__ = ["Scope", "Token", "create_app"]
