"""Lines by session in bounded memory: what is too much is kept on disk, in parts that fit."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import IO, NamedTuple

import msgspec

from logs.engine.sanity import SEQUENCE_CHARACTERS

BUDGET = 128 << 20
"""Characters of log text held in memory; a process needs about twice as many bytes."""
PARTS = 64
"""Files on disk when the budget is not enough: a session is whole in one, so memory is a 64th of the text."""
LINE_OVERHEAD = 100


class Line(NamedTuple):
    """A log line and what is known of it: its session, Unix seconds, 0 or 1, and the kind of anomaly."""

    text: str
    key: str | None = None
    time: float | None = None
    label: int | None = None
    type: str | None = None


Group = tuple[str, list[Line], int]
"""Session, its lines, and how many more there were than a session may hold."""

_decoder = msgspec.json.Decoder(tuple[str, list[Line]])


def by_key(lines: Iterable[Line], budget: int = BUDGET) -> Iterator[Group]:
    """Yield sessions with their lines in order; lines without a key belong to none.

    Sessions come first seen first; beyond the budget so only within each of the parts. Parts lie in the system's
    folder for temporary files (TMPDIR), without a name, and need as much space as the text.
    """
    held: dict[str, list[Line]] = {}
    size = 0
    with ExitStack() as stack:
        parts: list[IO[bytes]] = []
        for line in lines:
            if line.key is None:
                continue
            held.setdefault(line.key, []).append(line)
            size += len(line.text) + LINE_OVERHEAD
            if size > budget:
                parts = parts or [stack.enter_context(tempfile.TemporaryFile()) for _ in range(PARTS)]
                _spill(held, parts)
                held, size = {}, 0
        if not parts:
            yield from _drained(held)
            return
        _spill(held, parts)
        held = {}
        for part in parts:
            part.seek(0)
            yield from _collected(part)
            part.close()


def _spill(held: dict[str, list[Line]], parts: list[IO[bytes]]) -> None:
    for key, lines in held.items():
        # Not hash(): that differs from process to process, and so would the order.
        part = parts[zlib.crc32(key.encode()) % PARTS]
        part.write(msgspec.json.encode((key, lines)) + b"\n")


def _collected(part: IO[bytes]) -> Iterator[Group]:
    held: dict[str, list[Line]] = {}
    sizes: dict[str, int] = {}
    dropped: dict[str, int] = {}
    for raw in part:
        key, lines = _decoder.decode(raw)
        kept = held.setdefault(key, [])
        for line in lines:
            if (size := sizes.get(key, 0) + len(line.text)) > SEQUENCE_CHARACTERS:
                dropped[key] = dropped.get(key, 0) + 1
            else:
                sizes[key] = size
                kept.append(line)
    yield from _drained(held, dropped)


def _drained(held: dict[str, list[Line]], dropped: dict[str, int] | None = None) -> Iterator[Group]:
    """Yield and let go, so that memory falls as sequences are made."""
    while held:
        key = next(iter(held))
        yield key, held.pop(key), (dropped or {}).get(key, 0)
