"""What a file is written in, decided on evidence, and its translation to UTF-8 line by line.

A line that is valid UTF-8 is read as such whatever the others are, and one that speaks against the file's encoding is
left as it is: it is refused as invalid later on, for a wrong guess would be mojibake that nobody notices.
"""

from __future__ import annotations

import codecs
import re

UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
CODECS = {"gb18030": "gb18030", "latin-1": "cp1252"}  # browsers read Latin-1 like this, too
LINE_BYTES = 1 << 20
"""A longer line is cut where it can be."""

HIGH = re.compile(rb"[\x80-\xff]+")
# Two bytes of GB2312 each, as nearly all Chinese characters in use have; letters with accents stand alone in words.
CHINESE = re.compile(rb"(?:[\xa1-\xa9\xb0-\xf7][\xa1-\xfe]){2,}")
ACCENTED = re.compile(rb"(?<=[A-Za-z])[\xc0-\xff]{1,2}(?![\x80-\xff])|(?<![\x80-\xff])[\xc0-\xff](?=[a-z]{2})")
ALONE = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
NOT_LATIN = re.compile(rb"[\x00\x81\x8d\x8f\x90\x9d]")
BOUNDARY = re.compile(rb"[\x00-\x2f](?=[^\x00-\x2f]*\Z)")
"""The last byte that is a character of its own in all of these encodings."""


def detect(chunk: bytes) -> str:
    """Return "utf-8", "gb18030" or "latin-1"; "" where the bytes are no text in any of them."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(chunk)  # a character may be cut at the end
    foreign = sum(not char.isascii() for char in text)
    if text.count("\N{REPLACEMENT CHARACTER}") <= foreign * 0.3:
        return "utf-8"
    if kind := judge(chunk):
        return kind
    text = chunk.decode("gb18030", "replace")
    return "gb18030" if text.count("\N{REPLACEMENT CHARACTER}") <= len(text) * 0.01 else ""


def judge(data: bytes) -> str:
    """Return "gb18030" or "latin-1" where bytes that are no UTF-8 clearly look like one of them, else ""."""
    high = sum(map(len, HIGH.findall(data)))
    chinese = sum(map(len, CHINESE.findall(data)))
    accented, alone = len(ACCENTED.findall(data)), len(ALONE.findall(data))
    if chinese * 2 >= high and alone * 3 <= high:
        return "gb18030"
    if accented * 2 >= high and not NOT_LATIN.search(data):
        return "latin-1"
    return ""


class Translator:
    """Chunks of a file that is not in UTF-8 to chunks that are; only whole lines are given out before the end."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self._rest = b""
        self._utf16 = codecs.getincrementaldecoder(encoding)("replace") if encoding.startswith("utf-16") else None

    def feed(self, chunk: bytes, final: bool = False) -> bytes:
        """Return what can be told so far, in UTF-8."""
        if self._utf16:
            return self._utf16.decode(chunk, final).encode()
        data = self._rest + chunk
        end = len(data) if final else data.rfind(b"\n") + 1
        if not end and len(data) > LINE_BYTES:
            found = BOUNDARY.search(data, len(data) - LINE_BYTES // 2)
            end = found.end() if found else len(data)
        self._rest = data[end:]
        return b"".join(map(self._line, data[:end].splitlines(keepends=True)))

    def _line(self, line: bytes) -> bytes:
        if line.isascii():
            return line
        try:
            text = line.decode()
        except UnicodeDecodeError:
            text = ""
        # Two Chinese characters in GB18030 may look like two letters of UTF-8, but hardly like Chinese in UTF-8.
        if text and (self.encoding != "gb18030" or any(char > "\u0fff" for char in text)):
            return line
        if judge(line) not in ("", self.encoding):
            return line
        try:
            return line.decode(CODECS[self.encoding]).encode()
        except UnicodeDecodeError:
            return line


def text(raw: bytes) -> str:
    """Return one message as text: UTF-8 or, where it is none, GB18030 or Latin-1 if it looks like that.

    A character that was cut off at the end becomes U+FFFD. Bytes that are nothing of all this become halves of
    surrogate pairs, by which `sanity` knows them.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        if error.end == len(raw) and error.reason == "unexpected end of data":
            return raw[: error.start].decode() + "\N{REPLACEMENT CHARACTER}"
    for encoding in (CODECS.get(judge(raw), "gb18030"), "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("utf-8", "surrogateescape")
