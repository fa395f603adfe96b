"""The management API, `/api/v1`: functions in and out over HTTP, for who has the token and comes from this machine.

It runs code on behalf of who calls it, so nothing of it answers without the token, nor to a web page.
"""

from __future__ import annotations

from controller.api.app import create_app

__all__ = ["create_app"]
