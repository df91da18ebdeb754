"""Opening a log file: decompressed, in UTF-8, by the format that fits it."""

from __future__ import annotations

import codecs
import dataclasses
import hashlib
import io
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.conf import settings
from isal import isal_zlib

from duolog.plugins import guard, registry
from duolog.plugins.points import Format
from duolog.plugins.types import BadRecord, Record

GROUP = "duolog.formats"
HEAD = 64 << 10
CHUNK = 1 << 20
STEP = 16 << 10  # compressed bytes at a time: so much is lost where one is wrong
GZIP = 31  # zlib's word for gzip with a window of 32 KiB
SURE = 0.5
BROKEN: Any = (EOFError, OSError, isal_zlib.error)  # what reading a damaged file raises


class UnknownFormat(ValueError):
    """No format, or more than one, fits the file; the message says what was seen."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose records are about to be read; `size` and `position()` are bytes on disk (0: not known)."""

    format: str
    records: Iterator[Record]
    size: int
    source: Utf8

    def position(self) -> int:
        """Return how much of the file was read so far."""
        return self.source.position() if self.size else 0


def open_records(path: str | Path, format: str = "auto", options: Mapping[str, Any] | None = None) -> Opened:  # noqa: A002 - the word users know
    """Open a file ("-": standard input) and return its records, read as they are asked for.

    gzip is recognised by its content, a byte order mark is dropped, GB18030 becomes UTF-8. Raises OSError,
    UnknownFormat where `format` is "auto" and none is sure, OptionsError, PluginError.
    """
    raw: BinaryIO = sys.stdin.buffer if str(path) == "-" else Path(path).open("rb")  # noqa: SIM115 - the iterator closes it
    try:
        source = Utf8(raw)
        stream: Any = io.BufferedReader(source, CHUNK)
        head = stream.peek(HEAD)[:HEAD]
        name = "stdin" if str(path) == "-" else Path(path).name
        if source.broken and not head:
            raise UnknownFormat(f"{name}: {source.broken}")
        chosen = _sniff(head, name) if format == "auto" else format
        plugin = _create(chosen, options or {})
        # Rows without an id are named after this: equal for equal files, so that importing twice doubles nothing.
        source.name = f"{_stem(name)}-{hashlib.blake2b(head, digest_size=4).hexdigest()}"
        size = 0 if raw is sys.stdin.buffer else os.fstat(raw.fileno()).st_size
    except BaseException:
        raw.close()
        raise
    return Opened(chosen, _records(plugin, stream, source), size, source)


def _create(name: str, options: Mapping[str, Any]) -> Format:
    known = {field.name for field in dataclasses.fields(registry.get(GROUP, name).Options)}
    limits = {"max_line": settings.MAX_LINE_BYTES} if "max_line" in known else {}
    return cast(Format, registry.create(GROUP, name, {**limits, **options}))


def _stem(name: str) -> str:
    return re.sub(r"(\.(gz|json|jsonl|ndjson|csv|log|txt))+$", "", name)[:150] or "file"


def _sniff(head: bytes, name: str) -> str:
    if not head:
        raise UnknownFormat(f"{name} is empty")
    sure: dict[str, float] = {}
    for entry in registry.discover(GROUP):
        try:
            cls = registry.get(GROUP, entry.name) if entry.status in ("found", "ready") else None
            if cls is not None:
                sure[entry.name] = guard.call(cls(), "sniff", head, name)
        except registry.PluginError:
            continue  # it does not read this file; the plugin page tells why
    best = max(sure.values(), default=0.0)
    names = sorted(each for each, share in sure.items() if share == best)
    if best < SURE or len(names) > 1:
        seen = head[:80].decode("utf-8", "replace")
        which = f"more than one format fits: {', '.join(names)}" if best >= SURE else "no format fits"
        raise UnknownFormat(f"{name}: {which}; choose one of {', '.join(sorted(sure))}. The file begins with {seen!r}")
    return names[0]


def _records(plugin: Format, stream: BinaryIO, source: Utf8) -> Iterator[Record]:
    """Yield the records; where the data break off, the last record says so."""
    # Only a bad record is held back until the next one comes: what a stream has told so far is for the taking.
    torn: BadRecord | None = None
    count = 0
    with stream:
        for record in guard.call(plugin, "read", stream):
            count += 1
            if torn:
                yield torn
            torn = record if isinstance(record, BadRecord) else None
            if torn is None:
                yield record
        if source.broken:
            torn = BadRecord(torn.row if torn else count + 1, source.broken, torn.excerpt if torn else "")
        if torn:
            yield torn


class Utf8(io.RawIOBase):
    """A raw stream in UTF-8: gzip unpacked, byte order mark dropped, GB18030 translated.

    The encoding is decided on the first chunk that is not plain ASCII. Bytes that are valid in neither stay as they
    are, so that the format refuses their row. `broken` says why the data ended early, if they did.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self.name = ""
        self.broken = ""
        self._raw = raw
        buffered = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, raw))
        zipped = buffered.peek(2)[:2] == b"\x1f\x8b"
        self._data = _Gunzip(buffered) if zipped else buffered
        self._ready = b""
        self._started = False
        self._decided = False
        self._decoder: codecs.IncrementalDecoder | None = None

    def readable(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._raw.close()
        super().close()

    def position(self) -> int:
        """Return how many bytes of the file were read."""
        return 0 if self._raw.closed else self._raw.tell()

    def readinto(self, target: Any) -> int:
        """Fill `target` as far as it goes; 0 at the end."""
        while not self._ready:
            chunk = self._chunk()
            if not chunk:
                if self._decoder is None:
                    return 0
                self._ready, self._decoder = _bytes(self._decoder.decode(b"", final=True)), None
                self._decided = True
                return self.readinto(target) if self._ready else 0
            if not self._decided and not chunk.isascii():
                self._decided = True
                if _is_gb18030(chunk):
                    self._decoder = codecs.getincrementaldecoder("gb18030")("surrogateescape")
            self._ready = _bytes(self._decoder.decode(chunk)) if self._decoder else chunk
        size = min(len(target), len(self._ready))
        target[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    def _chunk(self) -> bytes:
        if self.broken:
            return b""
        try:
            chunk: bytes = self._data.read1(CHUNK)  # what is there: a stream may pause
        except BROKEN as error:
            self.broken = f"the file breaks off: {error}"
            return b""
        if not self._started:
            self._started = True
            chunk = chunk.removeprefix(codecs.BOM_UTF8)
        return chunk


class _Gunzip:
    """A gzip stream, also of several members; unlike a GzipFile it gives all that precedes a tear or a wrong byte."""

    def __init__(self, raw: io.BufferedReader) -> None:
        self._raw = raw
        self._data = b""
        self._member = isal_zlib.decompressobj(GZIP)

    def read1(self, size: int) -> bytes:
        """Return at most `size` bytes, none at the end."""
        while True:
            if self._member.eof:
                rest = (self._member.unused_data or self._raw.read1(STEP)).lstrip(b"\0")
                if not rest:
                    return b""
                self._member, self._data = isal_zlib.decompressobj(GZIP), rest
            data = self._data or self._raw.read1(STEP)
            chunk = self._member.decompress(data, size)
            self._data = self._member.unconsumed_tail
            if chunk:
                return bytes(chunk)
            if not data:
                raise EOFError("the compressed data end too early")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _is_gb18030(chunk: bytes) -> bool:
    """Tell whether the chunk reads better as GB18030: as UTF-8, most of its other characters would be invalid."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(chunk)  # a character may be cut at the end
    foreign = sum(not char.isascii() for char in text)
    if text.count("\N{REPLACEMENT CHARACTER}") <= foreign * 0.3:
        return False
    text = chunk.decode("gb18030", "replace")
    return text.count("\N{REPLACEMENT CHARACTER}") <= len(text) * 0.01
