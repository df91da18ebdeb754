"""Files followed as they grow, through rotation and truncation; a restart neither loses nor doubles a line.

What is about to be stored is written down first. After a crash exactly that is sent again, and the store knows it by
its bytes and their place, if it was stored already.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec

from duolog.plugins.types import LogBatch, Reason, Receipt, Refused
from logs.engine import encodings, levels, times
from logs.engine.sanity import MAX_LINE_BYTES, bad, sift

log = logging.getLogger(__name__)

POLL = 0.25
"""Seconds between two looks at files that have no news."""
LINGER = 60.0
"""Seconds of silence after which a file that was moved away is followed no more: its writer may still have it open."""
PIECE = 1 << 20
HEAD = 1024
"""Bytes at the beginning of a file by which it is known again."""
AGAIN = 1.0

Commit = Callable[[bytes, LogBatch], Receipt]
"""Stores a batch, once for the same key; raises Refused on overload."""


@dataclass
class Position:
    """How far a file is stored: its first `offset` bytes; those up to `pending`, if that is more, perhaps."""

    path: str
    device: int
    inode: int
    offset: int = 0
    pending: int = 0
    head: str = ""
    """Of the first bytes, HEAD at most and no more than are stored."""


class File:
    """One file that is open, whatever it is called by now."""

    def __init__(self, path: str, max_line: int, position: Position | None = None, now_at: Path | None = None) -> None:
        self._stream = Path(now_at or path).open("rb", buffering=0)  # noqa: SIM115 - closed when it is done with
        status = os.fstat(self._stream.fileno())
        self.position = position or Position(path, status.st_dev, status.st_ino)
        self.max_line = max_line
        self.moved = now_at is not None
        self.heard = time.monotonic()

    def close(self) -> None:
        """Close it."""
        self._stream.close()

    def read(self, last: bool = False) -> tuple[bytes, int]:
        """Return whole lines that are not stored yet and where they end; a line that is too long comes as b"".

        With `last`, a last line without an end is taken, too.
        """
        at, room = self.position, max(PIECE, self.max_line + 1)
        if at.pending > at.offset:
            piece = self._at(at.offset, at.pending - at.offset)
            too_long = len(piece) > self.max_line and b"\n" not in piece[:room]
            return b"" if too_long else piece, at.pending
        if self._is_another():
            log.warning("%s was truncated; it is read from its beginning", at.path)
            at.offset = at.pending = 0
            at.head = ""
        block = self._at(at.offset, room)
        end = block.rfind(b"\n") + 1
        if end:
            return block[:end], at.offset + end
        if len(block) > self.max_line:
            return b"", self._line_end(at.offset + len(block))
        if block and (last or (self.moved and self.silent)):
            return block, at.offset + len(block)
        return b"", at.offset

    def stored(self, end: int) -> None:
        """Note that all up to `end` is stored."""
        self.position.offset = self.position.pending = end
        self.position.head = self._head(end)
        self.heard = time.monotonic()

    @property
    def silent(self) -> bool:
        """Whether nothing has come for so long that nothing more will."""
        return time.monotonic() - self.heard > LINGER

    def same_as(self, status: os.stat_result) -> bool:
        """Return whether this is the file that has that status."""
        return (self.position.device, self.position.inode) == (status.st_dev, status.st_ino)

    def resume(self) -> bool:
        """Return whether this is the file of its position, which else is set to its beginning."""
        known = not self._is_another()
        if not known:
            self.position.offset = self.position.pending = 0
            self.position.head = ""
        self.position.pending = min(self.position.pending, os.fstat(self._stream.fileno()).st_size)
        return known

    def _is_another(self) -> bool:
        at = self.position
        return os.fstat(self._stream.fileno()).st_size < at.offset or self._head(at.offset) != at.head

    def _head(self, offset: int) -> str:
        return blake2b(self._at(0, min(HEAD, offset)), digest_size=16).hexdigest() if offset else ""

    def _at(self, offset: int, size: int) -> bytes:
        return os.pread(self._stream.fileno(), size, offset)

    def _line_end(self, at: int) -> int:
        """Return where a line that is too long ends, or where it began if its end is not written yet."""
        while block := self._at(at, PIECE):
            if (found := block.find(b"\n")) >= 0:
                return at + found + 1
            at += len(block)
        return self.position.offset


class Tail:
    """Follows `paths`, and hands whole lines to `commit`; positions are kept in the file `state`.

    Lines are of `service`, or of one that is called like their file; `zone` is that of times that name none.
    """

    def __init__(
        self,
        paths: Iterable[str],
        commit: Commit,
        state: Path,
        *,
        service: str = "",
        zone: str = "UTC",
        max_line: int = MAX_LINE_BYTES,
    ) -> None:
        self.paths, self.commit, self.state = list(paths), commit, state
        self.service, self.zone, self.max_line = service, zone, max_line
        self.files: list[File] = []
        self._others: list[Position] = []
        self._resume()

    def step(self, last: bool = False) -> int:
        """Store what is new, a piece of each file, and return how many lines that were."""
        self._look()
        return sum(self._forward(file, last) for file in list(self.files))

    def close(self) -> None:
        """Close all files."""
        for file in self.files:
            file.close()

    def _resume(self) -> None:
        """Open files where they were left, also those that have been renamed meanwhile."""
        noted: list[Position] = []
        with suppress(FileNotFoundError):
            noted = [Position(**each) for each in json.loads(self.state.read_text(encoding="utf-8"))]
        for position in noted:
            if position.path not in self.paths:
                self._others.append(position)
                continue
            found = _find(position)
            file = File(position.path, self.max_line, position, found) if found else None
            if file:
                file.moved = str(found) != position.path
            if file and (file.resume() or not file.moved):
                self.files.append(file)
            else:
                log.warning("%s was moved away; what it held beyond byte %d is lost", position.path, position.offset)

    def _look(self) -> None:
        """Open files that are new under their names."""
        for path in self.paths:
            try:
                status = os.stat(path)  # noqa: PTH116
            except OSError:
                continue
            mine = [file for file in self.files if file.position.path == path]
            for file in mine:
                file.moved = not file.same_as(status)
            if all(file.moved for file in mine):
                self.files.append(File(path, self.max_line))

    def _forward(self, file: File, last: bool) -> int:
        position = file.position
        piece, end = file.read(last)
        if end == position.offset:
            if file.moved and file.silent:
                file.close()
                self.files.remove(file)
                self._save()
            return 0
        if position.pending != end:
            position.pending = end
            self._save()
        key = f"{position.device}:{position.inode}:{position.offset}:{end}\n".encode() + piece
        batch = self._batch(position, piece, end)
        while True:
            try:
                self.commit(key, batch)
                break
            except Refused as refused:
                if refused.status != 429 and refused.status < 500:
                    raise
                log.warning("the store refuses %d lines for now: %s", len(batch.texts), refused.reason)
                time.sleep(refused.retry_after or AGAIN)
        file.stored(end)
        self._save()
        return len(batch.texts) + len(batch.rejected)

    def _batch(self, position: Position, piece: bytes, end: int) -> LogBatch:
        """Return a batch of lines, each with its place in the file: equal lines are not the same line."""
        if not piece:
            size = end - position.offset
            reason = Reason("the line has %(bytes)d bytes; at most %(most)d are taken", bytes=size, most=self.max_line)
            return LogBatch(rejected=[bad(1, reason, f"{position.path}, byte {position.offset}")])
        texts, attributes = [], []
        at = position.offset
        begin = f'{{"log.file.path":{msgspec.json.encode(position.path).decode()},"log.offset":"'
        for line in piece.split(b"\n"):
            if text := encodings.text(line.rstrip(b"\r")):
                texts.append(text)
                attributes.append(f'{begin}{at}"}}')
            at += len(line) + 1
        service = self.service or Path(position.path).stem
        batch = LogBatch(
            texts, times.parse(texts, zone=self.zone), [service] * len(texts), levels.find(texts), attributes
        )
        return sift(batch, self.max_line)

    def _save(self) -> None:
        """Write all positions to disk, whole or not at all."""
        new = self.state.with_suffix(".new")
        with new.open("w", encoding="utf-8") as stream:
            json.dump([asdict(each) for each in (*self._others, *(file.position for file in self.files))], stream)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(self.state)


def _find(position: Position) -> Path | None:
    """Return where a file lies by now: under its name, or beside it under another."""
    path = Path(position.path)
    with suppress(OSError):
        for each in [path, *sorted(path.parent.iterdir())]:
            with suppress(OSError):
                status = each.stat()
                if (status.st_dev, status.st_ino) == (position.device, position.inode):
                    return each
    return None
