"""How messages are told apart in a stream of bytes: RFC 6587 for syslog over TCP and TLS, NUL for GELF over TCP."""

from __future__ import annotations

import re

from duolog.plugins.types import BadRecord, Reason
from logs.engine.sanity import MAX_LINE_BYTES, refused

COUNT = re.compile(rb"([1-9][0-9]{0,8}) ")
PARTIAL = re.compile(rb"[1-9][0-9]{0,8}\Z")
BEFORE, AFTER = b"\r\n\0 ", b"\r\n\0"
"""What may stand before and after a message and belongs to none."""
HEADER = 8192
"""Bytes that a message may have beside its text."""
HEAD = 2000
"""Bytes of a message that is too long of which an excerpt is made."""
TORN = Reason("the connection ended within a message")

Message = bytes | BadRecord


class Framer:
    """Bytes as they come from one connection to whole messages; one that is too long becomes a BadRecord.

    With `counted`, a message that begins with a number and a space is as long as the number says (octet counting); all
    others end with the byte `end`. Memory is bounded by the longest message that is taken.
    """

    def __init__(self, *, counted: bool = True, end: bytes = b"\n", most: int = MAX_LINE_BYTES) -> None:
        self.counted, self.end, self.most = counted, end, most + HEADER
        self._buffer = bytearray()
        self._seen = 0
        """Bytes at the beginning of the buffer that have no `end` among them."""
        self._skip = 0
        """Bytes still to come of a counted message that is too long; -1: all up to the next `end`."""

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that are complete by now."""
        self._buffer += data
        found: list[Message] = []
        while self._step(found):
            pass
        return found

    def finish(self) -> list[Message]:
        """Return what is left when the connection ends: a last line without its end, or a torn message."""
        rest = bytes(self._buffer).lstrip(BEFORE).rstrip(AFTER)
        self._buffer.clear()
        if not rest or self._skip:
            return []
        if self.counted and (COUNT.match(rest) or PARTIAL.match(rest)):
            return [refused(0, TORN, rest)]
        return [rest]

    def _step(self, found: list[Message]) -> bool:
        """Take one message off the buffer (a cheap thing to do at its beginning); return whether to go on."""
        buffer = self._buffer
        if self._skip > 0:
            step = min(self._skip, len(buffer))
            del buffer[:step]
            self._skip -= step
            return self._skip == 0
        if not self._skip and not self._seen:
            blank = 0
            while blank < len(buffer) and buffer[blank] in BEFORE:
                blank += 1
            del buffer[:blank]
            if self.counted and (match := COUNT.match(buffer)):
                return self._counted(match.end(), int(match[1]), found)
            if not buffer or (self.counted and PARTIAL.match(buffer)):
                return False
        end = buffer.find(self.end, self._seen)
        if end >= 0:
            message = bytes(buffer[:end]).rstrip(AFTER)
            if message and not self._skip:
                found.append(message if len(message) <= self.most else self._too_long(message[:HEAD]))
            del buffer[: end + 1]
            self._seen = self._skip = 0
            return True
        if not self._skip and len(buffer) > self.most:
            found.append(self._too_long(bytes(buffer[:HEAD])))
            self._skip = -1
        if self._skip:
            buffer.clear()
        self._seen = len(buffer)
        return False

    def _counted(self, begin: int, count: int, found: list[Message]) -> bool:
        buffer = self._buffer
        if len(buffer) - begin < min(count, self.most, HEAD if count > self.most else count):
            return False
        if count > self.most:
            found.append(self._too_long(bytes(buffer[begin : begin + HEAD])))
            del buffer[:begin]
            self._skip = count
            return True
        if message := bytes(buffer[begin : begin + count]).rstrip(AFTER):
            found.append(message)
        del buffer[: begin + count]
        return True

    def _too_long(self, head: bytes) -> BadRecord:
        return refused(0, Reason("the message has more than %(most)d bytes", most=self.most), head)
