"""Log lines that know their request: one JSON object a line when asked for, else the text as it was written."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import time
import traceback
from contextvars import ContextVar
from typing import Any, TextIO

request_id: ContextVar[str] = ContextVar("cloudbase_request_id", default="")


class Log:
    """The function's log: its own output, and what the runtime has to say about it."""

    def __init__(self, name: str, as_json: bool) -> None:
        self._name = name
        self._json = as_json

    def start(self) -> None:
        """Take stdout and stderr over: lines leave at once, as JSON when asked for."""
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if self._json:
                setattr(sys, name, _JsonLines(stream, self))
            else:
                stream.reconfigure(line_buffering=True)
        if self._json:
            logging.lastResort = _JsonHandler(self, level=logging.WARNING)

    def thrown(self, what: str, error: BaseException) -> None:
        """Log what the function threw, with its stack."""
        stack = "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip()
        self.say("error", f"{what}:\n{stack}" if not self._json else f"{what}: {stack}")

    def say(self, level: str, text: str) -> None:
        """Log one record of the runtime's own."""
        if self._json:
            line = self.line(level, text)
        else:
            line = f"[{request_id.get()}] {text}" if request_id.get() else f"cloudbase: {text}"
        raw = getattr(sys.stderr, "stream", sys.stderr)
        raw.write(line + "\n")
        raw.flush()

    def line(self, level: str, message: str) -> str:
        """One record as JSON."""
        now = time.time()
        record = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z",
            "level": level,
            "message": message,
        }
        if request_id.get():
            record["requestId"] = request_id.get()
        record["function"] = self._name
        return json.dumps(record, ensure_ascii=False)


class _JsonLines(io.TextIOBase):
    """A text stream whose lines become records. Each thread has a line of its own, so that two prints never mix."""

    def __init__(self, stream: TextIO, log: Log) -> None:
        self.stream = stream
        self._log = log
        self._partial = threading.local()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding

    @property
    def buffer(self) -> Any:
        return self.stream.buffer

    def fileno(self) -> int:
        return self.stream.fileno()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, rest = (getattr(self._partial, "text", "") + text).split("\n")
        self._partial.text = rest
        if lines:
            self.stream.write("".join(self._record(line) + "\n" for line in lines))
            self.stream.flush()
        return len(text)

    def flush(self) -> None:
        """Nothing waits but half a line."""

    def _record(self, line: str) -> str:
        if line.startswith("{"):
            try:
                json.loads(line)
                return line
            except ValueError:
                pass  # only looks like JSON: it is a message like any other
        return self._log.line("info", line)


class _JsonHandler(logging.Handler):
    """What the logging module uses where the function configured nothing."""

    def __init__(self, log: Log, level: int) -> None:
        super().__init__(level)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.say(record.levelname.lower(), self.format(record))
