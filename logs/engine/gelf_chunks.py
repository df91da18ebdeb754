"""GELF datagrams to whole messages: chunks put together, gzip and zlib unpacked (GELF 1.1)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from duolog.plugins.types import BadRecord, Reason, Refused
from logs.engine.sanity import MAX_LINE_BYTES, refused
from logs.engine.unpack import unpack

MAGIC = b"\x1e\x0f"
HEADER = 12
MOST_CHUNKS = 128
PATIENCE = 5.0
"""Seconds after its first chunk in which the rest of a message must come."""
MOST_WAITING = 1000
"""Messages that wait for chunks at a time: 128 chunks of 8 KiB each at most."""


@dataclass
class _Parts:
    began: float
    count: int
    parts: dict[int, bytes] = field(default_factory=dict)


class Assembler:
    """Puts chunks together; `dropped` counts messages whose chunks did not all come in time."""

    def __init__(self, most: int = MAX_LINE_BYTES) -> None:
        self.most = most * 2  # a message beside the fields around it
        self.dropped = 0
        self._waiting: OrderedDict[tuple[str, bytes], _Parts] = OrderedDict()

    def add(self, datagram: bytes, peer: str, now: float) -> bytes | BadRecord | None:
        """Return the message that this datagram completes, in JSON; None if chunks of it are still to come.

        `now` are seconds of a clock that never goes back. What cannot be put together or unpacked is a BadRecord.
        """
        self.expire(now)
        if not datagram.startswith(MAGIC):
            return self._unpacked(datagram)
        number, count = datagram[10:12] if len(datagram) > HEADER else (0, 0)
        if not 0 < count <= MOST_CHUNKS or number >= count:
            return refused(0, Reason("not a chunk of a GELF message"), datagram)
        key = (peer, datagram[2:10])
        message = self._waiting.get(key)
        if message is None:
            if len(self._waiting) >= MOST_WAITING:
                self._waiting.popitem(last=False)
                self.dropped += 1
            message = self._waiting[key] = _Parts(now, count)
        message.parts[number] = datagram[HEADER:]
        if len(message.parts) < message.count:
            return None
        del self._waiting[key]
        return self._unpacked(b"".join(part for _, part in sorted(message.parts.items())))

    def expire(self, now: float) -> None:
        """Drop what has waited for too long."""
        while self._waiting and now - next(iter(self._waiting.values())).began > PATIENCE:
            self._waiting.popitem(last=False)
            self.dropped += 1

    def _unpacked(self, data: bytes) -> bytes | BadRecord:
        kind = "gzip" if data.startswith(b"\x1f\x8b") else "zlib" if data[:1] == b"\x78" else ""
        try:
            return unpack(data, kind, self.most)
        except Refused as why:
            return refused(0, why.reason, data)
