"""Reads the bodies of requests: bounded in size and time, whatever the client announces or does not."""

from __future__ import annotations

import asyncio
import base64
import binascii
import difflib
from urllib.parse import unquote

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from controller.archive import size
from controller.errors import FieldError, Invalid
from controller.model import FunctionSpec

SECONDS = 300.0  # that a body may take to arrive
FIELDS = ("spec", "files", "generation")  # of a FunctionDocument


class Base64File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that is not text."""

    base64: str


class FunctionDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What PUT takes as JSON: the spec, and the source's files when they are new.

    This is its schema only: `document` decodes it by hand, so that every wrong field is told at once, and in our words.
    """

    spec: FunctionSpec
    files: dict[str, str | Base64File] | None = None  # path -> content; absent: the source stays as it is
    generation: int | None = None  # of the function that the spec was made of: 409 when it is another by now; absent: whatever


async def read(request: Request, limit: int) -> bytes:
    """The whole body. Raises HTTPException 413 as soon as it is too large, 408 when it takes too long, 415 when encoded."""
    if encoding := request.headers.get("content-encoding"):
        raise HTTPException(415, f"a body with Content-Encoding {encoding} is not accepted: send it as it is")
    too_large = HTTPException(413, f"the body is larger than {size(limit)}: leave out what can be installed")
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:18]) > limit:
        raise too_large
    pieces, count = [], 0
    try:
        async with asyncio.timeout(SECONDS):
            async for piece in request.stream():
                count += len(piece)
                if count > limit:
                    raise too_large
                pieces.append(piece)
    except TimeoutError:
        raise HTTPException(408, f"the body did not arrive within {SECONDS:g} s") from None
    return b"".join(pieces)


def json(body: bytes, what: str = "the body") -> object:
    """Decoded JSON. Raises HTTPException 400 with the place of the error."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HTTPException(400, f"{what} is not JSON: {error}") from error


def spec_header(request: Request) -> object:
    """The spec that came beside an archive, percent-encoded in the header Cloudbase-Spec. Raises HTTPException 400."""
    values = request.headers.getlist("cloudbase-spec")
    if len(values) != 1:
        raise HTTPException(400, "an archive needs one header Cloudbase-Spec with the spec as percent-encoded JSON")
    return json(unquote(values[0], errors="surrogateescape").encode(errors="surrogateescape"), "the header Cloudbase-Spec")


def document(body: bytes) -> tuple[object, dict[str, bytes] | None, int]:
    """The spec (not yet checked), files and generation (0 = none) of a FunctionDocument. Raises HTTPException 400, Invalid."""
    whole = json(body)
    if not isinstance(whole, dict):
        raise Invalid([FieldError("body", "must be an object with spec and files")])
    if errors := [FieldError(key, _unknown(key)) for key in whole if key not in FIELDS]:
        raise Invalid(errors)
    if "spec" not in whole:
        raise Invalid([FieldError("spec", "is missing")])
    files = whole.get("files")
    return whole["spec"], None if files is None else _files(files), _generation(whole.get("generation"))


def _generation(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Invalid([FieldError("generation", "must be a number from 1, as the function has it")])
    return value


def _files(files: object) -> dict[str, bytes]:
    if not isinstance(files, dict):
        raise Invalid([FieldError("files", "must be an object of paths and contents")])
    decoded: dict[str, bytes] = {}
    errors = []
    for path, content in files.items():
        try:
            decoded[path] = _content(content)
        except ValueError as error:
            errors.append(FieldError(f"files.{path}", str(error)))
    if errors:
        raise Invalid(errors)
    return decoded


def _content(content: object) -> bytes:
    """A file's bytes. Raises ValueError with what is wrong."""
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, dict) and list(content) == ["base64"] and isinstance(content["base64"], str):
        try:
            return base64.b64decode(content["base64"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"is not base64: {error}") from error
    raise ValueError('must be text, or {"base64": "…"}')


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key, FIELDS, 1)
    return "is not a field; " + (f"did you mean {near[0]}?" if near else "there are files, generation and spec")
