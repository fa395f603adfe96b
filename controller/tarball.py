"""Reads a tar.gz strictly into a checked tree, unpacking no more than the limits allow; no file is touched.

Why not tarfile's own reader: it takes a damaged header in mid-archive for the end, expands sparse files beyond the size
of the stream, and before 3.11.10 needs quadratic time for hostile pax headers (CVE-2024-6232).
Formats: POSIX.1-2001 pax and ustar, GNU long names; gzip as in RFC 1952, several members included.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator

from controller.archive import File, Growing, Limits, Tree, size
from controller.errors import BadSource, SourceTooLarge

_BLOCK = tarfile.BLOCKSIZE
_HEADER_BYTES = 1 << 20  # of one pax header or long name
_CHUNK = 64 << 10
_FREE_BYTES = 16 << 20  # below that the ratio does not matter
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_REFUSED = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


def read(data: bytes, limits: Limits) -> Tree:
    """The tree in a tar.gz. Raises BadSource: broken, a path or link out of it, a device, names that collide, too large."""
    if len(data) > limits.archive_bytes:
        raise SourceTooLarge(f"the archive is larger than {size(limits.archive_bytes)}: leave out what can be installed")
    stream = _Stream(data, limits)
    tree = Growing(limits)
    extended: dict[str, str] = {}
    while any(block := stream.take(_BLOCK)):
        member = _header(block)
        if member.type in _EXTENSIONS:
            extended |= _extension(member, stream)
        else:
            _member(member, extended, stream, tree)
            extended = {}
    stream.finish()
    return tree.done()


class _Stream:
    """The unpacked bytes of a gzip, never more than the limits allow."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self._chunks = _unpacked(data)
        self._held = bytearray()
        self._count = 0  # bytes unpacked
        self._limit = min(limits.total_bytes, max(_FREE_BYTES, limits.ratio * len(data)))

    def take(self, count: int) -> bytes:
        """Exactly `count` bytes. Raises BadSource when the archive ends before."""
        if count > self._limit - self._count + len(self._held):
            raise self._too_large()
        while len(self._held) < count:
            self._more()
        taken = bytes(self._held[:count])
        del self._held[:count]
        return taken

    def finish(self) -> None:
        """Read on to the end, where only zeros may be: what a reader would skip must not hide there."""
        while True:
            if self._held.strip(b"\0"):
                raise BadSource("the tar has something behind its end mark: make it anew")
            self._held.clear()
            try:
                self._more()
            except EOFError:
                return

    def _more(self) -> None:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            raise _CutOff from None
        self._count += len(chunk)
        if self._count > self._limit:
            raise self._too_large()
        self._held += chunk

    def _too_large(self) -> SourceTooLarge:
        return SourceTooLarge(f"the archive unpacks to more than {size(self._limit)}: leave out what can be installed")


class _CutOff(BadSource, EOFError):
    def __init__(self) -> None:
        super().__init__("the tar ends before its end mark: it was cut off, send it again")


def _unpacked(data: bytes) -> Iterator[bytes]:
    """Chunks of at most 64 KiB, gzip member after gzip member (RFC 1952 allows them in a row; tapes pad with zeros)."""
    view, at = memoryview(data), 0
    while at < len(view):
        unpack = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        try:
            while not unpack.eof:
                if at >= len(view):
                    raise BadSource("the gzip ends too early: it was cut off, send it again")
                piece: bytes | memoryview = view[at : at + _CHUNK]
                at += len(piece)
                while piece and not unpack.eof:
                    yield unpack.decompress(piece, _CHUNK)
                    piece = unpack.unconsumed_tail
        except zlib.error as error:
            raise BadSource(f"the archive is not a sound gzip ({error}): send a tar.gz") from error
        at -= len(unpack.unused_data)
        while at < len(view) and not view[at]:
            at += 1


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError, ValueError) as error:
        raise BadSource(f"the tar is damaged ({error}): send it again") from error
    if member.size < 0:
        raise BadSource(f'"{member.name}" has a negative size in the tar')
    return member


def _extension(member: tarfile.TarInfo, stream: _Stream) -> dict[str, str]:
    """What a pax header or GNU long name says of the next member; of a global header nothing may matter."""
    if member.size > _HEADER_BYTES:
        raise SourceTooLarge("the tar has a header larger than 1 MiB")
    content = _content(member.size, stream)
    try:
        if member.type == tarfile.GNUTYPE_LONGNAME:
            return {"path": content.rstrip(b"\0").decode()}
        if member.type == tarfile.GNUTYPE_LONGLINK:
            return {"linkpath": content.rstrip(b"\0").decode()}
        records = _records(content)
    except ValueError as error:
        raise BadSource(f"the tar has a damaged pax header ({error}): send it again") from error
    if any(key.startswith("GNU.sparse") for key in records):
        raise BadSource("the tar holds a sparse file: make it without --sparse")
    if member.type == tarfile.XGLTYPE and records.keys() & {"path", "linkpath", "size"}:
        raise BadSource("the tar has a global header with a path or size: make it anew")
    return records if member.type == tarfile.XHDTYPE else {}


def _records(content: bytes) -> dict[str, str]:
    """pax records, "<length> <key>=<value>\\n" each (POSIX.1-2001). Raises ValueError."""
    records, at = {}, 0
    while at < len(content):
        digits, space, _ = content[at : at + 9].partition(b" ")
        if not space or not digits.isdigit():
            raise ValueError(f"no length at byte {at}")
        record = content[at + len(digits) + 1 : at + int(digits)]
        key, equals, value = record[:-1].partition(b"=")
        if record[-1:] != b"\n" or not equals or at + int(digits) > len(content):
            raise ValueError(f"no record at byte {at}")
        if key in (b"path", b"linkpath", b"size") or key.startswith(b"GNU.sparse"):
            records[key.decode()] = value.decode()
        at += int(digits)
    return records


def _member(member: tarfile.TarInfo, extended: dict[str, str], stream: _Stream, tree: Growing) -> None:
    name, link = extended.get("path", member.name), extended.get("linkpath", member.linkname)
    if "size" in extended:
        if not (extended["size"].isascii() and extended["size"].isdigit() and len(extended["size"]) < 16):
            raise BadSource(f'"{name}" has a size in the tar that is no number')
        member.size = int(extended["size"])
    if member.type in _FILES:
        tree.add(name, File(_content(member.size, stream), executable=bool(member.mode & 0o100)))
    elif member.type == tarfile.SYMTYPE:
        if not link:
            raise BadSource(f'the link "{name}" leads nowhere')
        tree.add(name, File(link=link))
    elif member.type == tarfile.DIRTYPE:
        tree.add(name, None)
    else:
        what = _REFUSED.get(member.type, "of a kind that is not known here")
        raise BadSource(f'"{name}" is {what}: a source has files, folders and symbolic links inside it')


def _content(count: int, stream: _Stream) -> bytes:
    content = stream.take(count)
    stream.take(-count % _BLOCK)
    return content
