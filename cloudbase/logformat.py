"""The platform's own log: a line for people in a terminal, one JSON object a line elsewhere."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import IO, Any

import msgspec

COLOURS = {"DEBUG": "2", "INFO": "", "WARNING": "33", "ERROR": "31", "CRITICAL": "31"}
# What libraries say at these levels is about their own insides.
QUIET = {"uvicorn": logging.WARNING, "uvicorn.access": logging.WARNING, "httpx2": logging.WARNING, "httpcore2": logging.WARNING}


def start(form: str, level: str, stream: IO[str] | None = None) -> None:
    """Send every logger's lines to `stream` (stderr) as "human" or "json"; "auto" chooses by whether it is a terminal."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    human = form == "human" or (form == "auto" and stream.isatty())
    handler.setFormatter(Human(colours=stream.isatty()) if human else Json())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(least)


class Human(logging.Formatter):
    """`12:30:01 hello: 0 -> 1 (a request waits)`; the level shows as the line's colour, or as a word where there is none."""

    def __init__(self, colours: bool) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        colour = COLOURS.get(record.levelname, "")
        if self._colours:
            return f"\x1b[2m{moment}\x1b[0m \x1b[{colour}m{text}\x1b[0m" if colour else f"\x1b[2m{moment}\x1b[0m {text}"
        return f"{moment} {'' if record.levelname == 'INFO' else record.levelname + ' '}{text}"


class Json(logging.Formatter):
    """`{"time", "level", "logger", "message"}`, with `error` where there is a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {"time": moment, "level": record.levelname.lower(), "logger": record.name}
        line["message"] = record.getMessage()
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()
