"""TLS towards clients: OpenSSL over a non-blocking socket, behind the few calls that a connection makes.

The handshake happens inside the first reads. A record is at most 16 KiB and the read buffer 128, so OpenSSL never keeps
decrypted bytes back that the poller would not tell of.
"""

from __future__ import annotations

import logging
import socket
import ssl
from pathlib import Path
from typing import Any

log = logging.getLogger("router")

_WANTS = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class TlsSocket:
    """What a Client needs of a socket, encrypted. Want-read and want-write are BlockingIOError, as on a plain one."""

    __slots__ = ("_sock",)

    def __init__(self, context: ssl.SSLContext, sock: socket.socket) -> None:
        self._sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False)

    @property
    def family(self) -> int:
        """As socket.family."""
        return self._sock.family

    def fileno(self) -> int:
        """As socket.fileno."""
        return self._sock.fileno()

    def recv_into(self, buffer: bytearray) -> int:
        """As socket.recv_into. An end without close_notify raises OSError: it may be a truncation by somebody else."""
        try:
            return self._sock.recv_into(buffer)
        except _WANTS as error:
            raise BlockingIOError from error
        except ssl.SSLZeroReturnError:
            return 0

    def send(self, data: Any) -> int:
        """As socket.send."""
        try:
            return self._sock.send(data)
        except _WANTS as error:
            raise BlockingIOError from error

    def sendmsg(self, parts: list[Any]) -> int:
        """As socket.sendmsg."""
        return self.send(b"".join(parts))

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Only to look for an end (MSG_PEEK), where TCP does not tell of it: TLS has no such look, so nothing ever ends here."""
        raise BlockingIOError

    def getsockopt(self, *arguments: Any) -> Any:
        """As socket.getsockopt."""
        return self._sock.getsockopt(*arguments)

    def setsockopt(self, *arguments: Any) -> None:
        """As socket.setsockopt."""
        self._sock.setsockopt(*arguments)

    def shutdown(self, how: int) -> None:
        """close_notify, and then the FIN."""
        try:
            self._sock.unwrap()
        except (OSError, ValueError):
            pass  # the peer's own close_notify has not come, and is not waited for
        socket.socket.shutdown(self._sock, how)  # SSLSocket's would also forget its keys, and what still comes could not be read

    def close(self) -> None:
        """As socket.close."""
        self._sock.close()


class Certificate:
    """The certificate and key of a listener, read again when the files change. New connections get the new one."""

    def __init__(self, certificate: str, key: str) -> None:
        """Raises OSError: the files cannot be read, or do not fit."""
        self._files = (Path(certificate), Path(key))
        self._stamp = self._stamps()
        try:
            self.context = self._load()
        except OSError as error:
            raise OSError(f"the certificate {certificate} with the key {key} cannot be used: {error}") from error

    def refresh(self) -> None:
        """Load the files again if they changed; a pair that does not fit is reported once, and the old one stays."""
        stamp = self._stamps()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.context = self._load()  # the old one is not touched, for the files may change while they are read
            log.info("the certificate %s was loaded again", self._files[0])
        except OSError as error:
            log.error("the changed certificate %s cannot be used, the old one stays: %s", self._files[0], error)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(*self._files)
        return context

    def _stamps(self) -> tuple[object, ...]:
        try:
            return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in (file.stat() for file in self._files))
        except OSError:
            return ()
