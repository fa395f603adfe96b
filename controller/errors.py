"""What can go wrong in the controller, each with the words its user reads; no HTTP in here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field of a document."""

    field: str  # its path, as the user wrote it: "scaling.min"
    message: str  # what is wrong and what to do, without the field's name

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class ControllerError(Exception):
    """Something the user or the operator can act on; its text is the sentence they read."""


class Invalid(ControllerError):
    """A document that cannot be accepted; says everything that is wrong with it at once."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = errors


class Conflict(ControllerError):
    """The function is in a state that does not allow this now."""


class Overtaken(ControllerError):
    """The function is not any more what a change of it was made of."""


class NoReplica(ControllerError):
    """The function has no replica of the name that was asked for."""


class Passing(ControllerError):
    """Something that passes by itself: it is tried again, and nobody has to be told."""


class BadSource(ControllerError):
    """A source tree or archive that is broken or not acceptable."""


class SourceTooLarge(BadSource):
    """A source tree or archive beyond a limit."""


class StoreFailed(ControllerError):
    """The store of functions or of sources cannot be read or written."""
