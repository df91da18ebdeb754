"""The bytes of a log file: unpacked, in UTF-8, within the limits of size."""

from __future__ import annotations

import codecs
import io
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext
from isal import isal_zlib

from duolog.plugins.types import Reason
from logs.engine.encodings import UTF16, Translator, detect

CHUNK = 1 << 20
STEP = 16 << 10  # compressed bytes at a time: so much is lost where one is wrong
GZIP = 31  # zlib's word for gzip with a window of 32 KiB
BROKEN: Any = (EOFError, OSError, isal_zlib.error)  # what reading a damaged file raises
PACKED = {b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "7z"}
RATIO_MATTERS = 64 << 20
"""Below this many unpacked bytes nobody minds how well a file was packed."""


class UnknownFormat(ValueError):
    """The file cannot be read as it is; the message says what was seen, and what to do."""


class TooLarge(UnknownFormat):
    """A compressed file unpacks to more than the limits allow."""


class Utf8(io.RawIOBase):
    """A raw stream in UTF-8: gzip unpacked, byte order mark dropped, GB18030, Latin-1 and UTF-16 translated.

    The encoding is decided on the first chunk that is not plain ASCII (`engine.encodings`). Bytes that are no text in
    it stay as they are, so that the format refuses their row. `broken` says why the data ended early, if they did.
    With `limit` the stream ends with the last line that begins within so many bytes, and `cut` tells that it did.
    """

    def __init__(self, raw: BinaryIO, limit: int = 0) -> None:
        self.name = ""
        self.broken: Reason | None = None
        self.encoding = "utf-8"
        self.cut = False
        self._raw = raw
        self._left = limit or -1
        buffered = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, raw))
        self.packed = buffered.peek(2)[:2] == b"\x1f\x8b"
        self._data = _Gunzip(buffered) if self.packed else buffered
        self._ready = b""
        self._started = False
        self._decided = False
        self._translator: Translator | None = None

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
                if self._translator is None:
                    return 0
                self._ready, self._translator = self._translator.feed(b"", final=True), None
                self._decided = True
                return self.readinto(target) if self._ready else 0
            if not self._decided and not chunk.isascii():
                self._decided = True
                self.encoding = detect(chunk) or "utf-8"
                if self.encoding != "utf-8":
                    self._translator = Translator(self.encoding)
            self._ready = self._translator.feed(chunk) if self._translator else chunk
        size = min(len(target), len(self._ready))
        target[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    def _chunk(self) -> bytes:
        if self.broken or self.cut:
            return b""
        try:
            chunk: bytes = self._data.read1(CHUNK)  # what is there: a stream may pause
        except BROKEN as error:
            self.broken = Reason("the file breaks off: %(error)s", error=str(error))
            return b""
        if not self._started:
            self._started = True
            chunk = self._without_mark(chunk)
        if self._left > 0:
            chunk = self._limited(chunk)
        return chunk

    def _without_mark(self, chunk: bytes) -> bytes:
        if encoding := UTF16.get(chunk[:2]):
            self.encoding, self._decided, self._translator = encoding, True, Translator(encoding)
            return chunk[2:]
        return chunk.removeprefix(codecs.BOM_UTF8)

    def _limited(self, chunk: bytes) -> bytes:
        if len(chunk) < self._left:
            self._left -= len(chunk)
            return chunk
        self.cut = True
        return chunk[: chunk.rfind(b"\n", 0, self._left) + 1 or self._left]


class _Gunzip:
    """A gzip stream, also of several members; unlike a GzipFile it gives all that precedes a tear or a wrong byte.

    Raises TooLarge beyond the limits of the settings: a bomb of 10 MB unpacks to 10 GB.
    """

    def __init__(self, raw: io.BufferedReader) -> None:
        self._raw = raw
        self._data = b""
        self._member = isal_zlib.decompressobj(GZIP)
        self._packed = self._unpacked = 0

    def read1(self, size: int) -> bytes:
        """Return at most `size` bytes, none at the end."""
        while True:
            if self._member.eof:
                rest = (self._member.unused_data or self._step()).lstrip(b"\0")
                if not rest:
                    return b""
                self._member, self._data = isal_zlib.decompressobj(GZIP), rest
            data = self._data or self._step()
            chunk = self._member.decompress(data, size)
            self._data = self._member.unconsumed_tail
            if chunk:
                self._unpacked += len(chunk)
                self._check()
                return bytes(chunk)
            if not data:
                raise EOFError("the compressed data end too early")

    def _step(self) -> bytes:
        data = self._raw.read1(STEP)
        self._packed += len(data)
        return data

    def _check(self) -> None:
        most, ratio = settings.MAX_UNPACKED_BYTES, settings.MAX_GZIP_RATIO
        if self._unpacked > most:
            text = gettext("the file unpacks to more than %(most)s (DUOLOG_MAX_UNPACKED_BYTES)")
            raise TooLarge(text % {"most": filesizeformat(most)})
        if self._unpacked > max(RATIO_MATTERS, self._packed * ratio):
            text = gettext(
                "the file unpacks to more than %(ratio)d times its size, as a zip bomb does; if it is none, import it "
                "unpacked or raise DUOLOG_MAX_GZIP_RATIO"
            )
            raise TooLarge(text % {"ratio": ratio})
