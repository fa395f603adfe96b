"""What a client may be told instead of its function's answer: one class for each, turned into bytes in problem.py only."""

from __future__ import annotations

from errno import EADDRNOTAVAIL, EHOSTDOWN, EHOSTUNREACH, EMFILE, ENETUNREACH, ENFILE, ENOBUFS, ENOMEM, ETIMEDOUT
from typing import Final

UNANSWERED: Final = frozenset((EHOSTDOWN, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT))  # the host did not say so: nobody reaches it
EXHAUSTED: Final = frozenset((EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL))  # it is we who have no room for a connection


class ProxyError(Exception):
    """A request that gets an answer of our own. `args[0]` is the detail that the client reads; it names nothing internal."""

    status = 500
    title = "Internal Server Error"
    code = "internal"  # bounded label of the metrics, and the last part of the problem's URN
    retry_after = 0.0  # seconds; 0 = not said
    to_head = False  # the request was a HEAD, to which no answer has a body
    allow = ""  # the methods that are taken instead; empty: not said

    def __init__(self, detail: str, retry_after: float = 0.0) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class LastHop(ProxyError):
    """An OPTIONS that goes no further (RFC 9110 7.6.2 and 9.3.7): no error, but as much an answer of our own."""

    status = 204
    title = "No Content"
    code = "last-hop"
    allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


class Malformed(ProxyError):
    """Not HTTP/1.1 as RFC 9112 writes it, or ambiguous: refused, and the connection closed, for what follows means nothing."""

    status = 400
    title = "Bad Request"
    code = "malformed"


class NoRoute(ProxyError):
    """No function has this path or host."""

    status = 404
    title = "Not Found"
    code = "no-route"


class MethodNotAllowed(ProxyError):
    """A method that the router does not answer by itself."""

    status = 405
    title = "Method Not Allowed"
    code = "method"
    allow = LastHop.allow


class HeadTimeout(ProxyError):
    """The head began and did not end in time."""

    status = 408
    title = "Request Timeout"
    code = "head-timeout"


class BodyTimeout(ProxyError):
    """The body began and then nothing came for too long."""

    status = 408
    title = "Request Timeout"
    code = "body-timeout"


class BodyTooLarge(ProxyError):
    """More body than the function takes."""

    status = 413
    title = "Content Too Large"
    code = "body-too-large"


class TargetTooLong(ProxyError):
    """A request target beyond the limit."""

    status = 414
    title = "URI Too Long"
    code = "target-too-long"


class ExpectationFailed(ProxyError):
    """An Expect that is not 100-continue (RFC 9110 10.1.1)."""

    status = 417
    title = "Expectation Failed"
    code = "expectation"


class Misdirected(ProxyError):
    """A target with another scheme than the connection's (RFC 9110 7.4)."""

    status = 421
    title = "Misdirected Request"
    code = "misdirected"


class HeadTooLarge(ProxyError):
    """A head beyond the limit of bytes or of field lines."""

    status = 431
    title = "Request Header Fields Too Large"
    code = "head-too-large"


class BadUpstream(ProxyError):
    """The function could not be reached, hung up before it answered, or answered something that is not HTTP."""

    status = 502
    title = "Bad Gateway"
    code = "bad-upstream"


class Refused(ProxyError):
    """Too many wait already, or too long: not even queued."""

    status = 503
    title = "Service Unavailable"
    code = "refused"


class ColdStartTimeout(ProxyError):
    """Waited for a replica until the deadline."""

    status = 504
    title = "Gateway Timeout"
    code = "cold-start-timeout"


class ResponseTimeout(ProxyError):
    """The function took the request and did not answer until the deadline."""

    status = 504
    title = "Gateway Timeout"
    code = "response-timeout"


class LoopDetected(ProxyError):
    """The request has been here again and again (RFC 9110 7.6, RFC 5842 7.2)."""

    status = 508
    title = "Loop Detected"
    code = "loop"


class VersionNotSupported(ProxyError):
    """A major version of HTTP that this port does not speak."""

    status = 505
    title = "HTTP Version Not Supported"
    code = "version"
