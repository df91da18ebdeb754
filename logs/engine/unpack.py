"""Packed bodies of shippers, unpacked within a limit that is checked on the way: a bomb is never in memory."""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Callable

import cramjam
from isal import isal_zlib
from isal.igzip_lib import IsalError

from duolog.plugins.types import Reason, Refused

MAX_BYTES = 64 << 20
"""Of an unpacked request: what OTLP asks a server to take at least."""
FRAMED = b"\xff\x06\x00\x00sNaPpY"
DAMAGED: tuple[type[Exception], ...] = (cramjam.DecompressionError, IsalError, EOFError, ValueError)  # type: ignore[assignment]
CHUNK, FEED = 1 << 20, 1 << 16
"""Bytes that come out, and go in, at a time."""
MEMBER = b"\x1f\x8b"


class _TooLarge(ValueError):
    """More comes out than may."""


def unpack(body: bytes, encodings: str, limit: int = MAX_BYTES) -> bytes:
    """Return a body as it was before `encodings`, a Content-Encoding header: names, the last one applied last.

    Known are gzip, deflate (RFC 9110: zlib; raw is read as well), zlib, zstd, snappy (block and framed), lz4 (frames)
    and identity. Raises Refused: 413 where more than `limit` bytes come out, 415 for another name, 400 for bytes that
    are not what the name says.
    """
    names = [name.strip() for name in encodings.lower().split(",")]
    for name in reversed(names):
        if name in ("", "identity"):
            continue
        # "gzip,deflate" is what libraries write that took the header for Accept-Encoding, and pack once.
        if len(names) > 1 and name in ("gzip", "deflate") and body.startswith(MEMBER) != (name == "gzip"):
            continue
        if name not in UNPACKERS:
            known = ", ".join(sorted(UNPACKERS))
            raise Refused(
                415, Reason("the content encoding %(name)s is not known; use one of %(known)s", name=name, known=known)
            )
        try:
            body = UNPACKERS[name](body, limit)
        except _TooLarge as error:
            raise Refused(
                413, Reason("the request unpacks to more than %(most)d bytes; send smaller batches", most=limit)
            ) from error
        except DAMAGED as error:
            raise Refused(
                400, Reason("the body cannot be unpacked as %(name)s: %(error)s", name=name, error=str(error))
            ) from error
    return body


def _inflate(body: bytes, limit: int, wbits: int) -> bytes:
    """Zlib, gzip (members in a row, too) or raw deflate by `wbits`, as zlib counts them."""
    parts, size, at, rest = [], 0, 0, b""
    stream = isal_zlib.decompressobj(wbits)
    while True:
        # By pieces: what is left over is copied each time, and there may be a million empty members.
        if not rest:
            rest, at = body[at : at + FEED], at + FEED
        part = stream.decompress(rest, CHUNK)
        size += len(part)
        if size > limit:
            raise _TooLarge
        parts.append(part)
        if stream.eof:
            rest = stream.unused_data
            if len(rest) < len(MEMBER):
                rest, at = rest + body[at : at + FEED], at + FEED
            # Zeros may follow a gzip file; whatever else does is no member.
            if wbits != zlib.MAX_WBITS | 16 or not rest.startswith(MEMBER):
                return b"".join(parts)
            stream = isal_zlib.decompressobj(wbits)
            continue
        rest = stream.unconsumed_tail
        if not rest and not part and at >= len(body):
            raise EOFError("it ends too early")


def _gzip(body: bytes, limit: int) -> bytes:
    return _inflate(body, limit, zlib.MAX_WBITS | 16)


def _deflate(body: bytes, limit: int) -> bytes:
    # A zlib header: method 8, a multiple of 31 (RFC 1950). Without one it is the raw stream that some clients send.
    wrapped = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2]) % 31 == 0
    return _inflate(body, limit, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)


def _into(decompress: Callable[[bytes, mmap.mmap], int]) -> Callable[[bytes, int], bytes]:
    """Unpack into room for the most that is allowed, whose pages become real only as they are written."""

    def unpacker(body: bytes, limit: int) -> bytes:
        with mmap.mmap(-1, limit + 1) as room:
            try:
                size = decompress(body, room)
            except cramjam.DecompressionError as error:
                if "write whole buffer" in str(error):
                    raise _TooLarge from error
                raise
            if size > limit:
                raise _TooLarge
            return room[:size]

    return unpacker


_framed = _into(cramjam.snappy.decompress_into)


def _snappy(body: bytes, limit: int) -> bytes:
    if body.startswith(FRAMED):
        return _framed(body, limit)
    if cramjam.snappy.decompress_raw_len(body) > limit:
        raise _TooLarge
    return bytes(cramjam.snappy.decompress_raw(body))


UNPACKERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zlib": _deflate,
    "zstd": _into(cramjam.zstd.decompress_into),
    "snappy": _snappy,
    "x-snappy-framed": _framed,
    "lz4": _into(cramjam.lz4.decompress_into),
}
