"""Line vectors: logs repeat, so what distinct masked lines say is encoded once and looked up ever after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import accumulate, chain, pairwise
from threading import RLock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from duolog.plugins import guard
from duolog.plugins.points import Encoder
from duolog.plugins.types import Context, LogSequence, NullContext, Vectors
from logs.engine import statement
from logs.engine.masking import mask

CHUNK = 512
"""Lines encoded between two looks at `ctx`; what is encoded is kept in the backend at once, so a kill loses little."""


class VectorBackend(Protocol):
    """Where vectors outlive the process: float32 little-endian bytes, keyed by encoder digest and line key."""

    def get(self, digest: str, keys: list[bytes]) -> dict[bytes, bytes]:
        """Return the vectors that are known, by key."""

    def put(self, digest: str, vectors: dict[bytes, bytes]) -> None:
        """Keep vectors; those that are known already stay as they are."""


class Quiet(NullContext):
    """Lets only `log` and `checkpoint` of a context through, for a part of somebody else's stage."""

    def __init__(self, ctx: Context) -> None:
        self.log = ctx.log  # type: ignore[method-assign]
        self._ctx = ctx

    def checkpoint(self, step: int = 0, save: object = None) -> None:
        """Stop if asked to; a part has nothing to keep."""
        self._ctx.checkpoint()


class VectorStore:
    """The `LineVectors` of one encoder: memory first, then the backend, then the encoder itself.

    Memory holds at most `lines` vectors (of 384 floats: 150 MB) and as many raw lines. When one of them is full it
    starts afresh: the backend brings the busy lines back in one query. Safe to share between threads.
    """

    def __init__(self, encoder: Encoder, backend: VectorBackend | None = None, *, lines: int = 100_000) -> None:
        self.encoder = encoder
        self._backend = backend
        self._lines = lines
        self._lock = RLock()
        self._raw: dict[str, int] = {}  # raw line to row
        self._masked: dict[str, int] = {}  # masked line to row
        self._rows: dict[str, int] = {}  # what a masked line says to row
        self._table: Vectors = np.empty((0, self.dim), np.float32)

    @property
    def dim(self) -> int:
        """Length of one vector."""
        return self.encoder.dim

    @property
    def digest(self) -> str:
        """Identity of the encoder's weights and settings."""
        return self.encoder.digest

    def of(self, encoder: Encoder) -> VectorStore:
        """Return a store of another encoder over the same backend, with a memory of its own."""
        return VectorStore(encoder, self._backend, lines=self._lines)

    def index(self, sequences: Sequence[LogSequence], ctx: Context) -> tuple[list[NDArray[np.int32]], Vectors]:
        """Return one array of rows a sequence, and the table [rows, dim] they point into.

        The table is the whole memory, so a row stands for the same line from call to call until memory starts afresh.
        New lines are a stage of `ctx`.
        """
        with self._lock:
            if len(self._rows) > self._lines or len(self._raw) > self._lines:
                self._forget()
            lines = list(chain.from_iterable(sequence.entries for sequence in sequences))
            self._learn(lines, ctx)
            flat = np.fromiter(map(self._raw.__getitem__, lines), np.int32, len(lines))
            table = self._table[: len(self._rows)]
        # The table only grows at its end or is replaced, so the view stays right after the lock is released.
        ends = accumulate((len(sequence.entries) for sequence in sequences), initial=0)
        return [flat[start:end] for start, end in pairwise(ends)], table

    def _learn(self, lines: Sequence[str], ctx: Context) -> None:
        """Give every line a row."""
        unseen = list(dict.fromkeys(line for line in lines if line not in self._raw))
        if not unseen:
            return
        masked = mask(unseen)
        said = {line: says(line) for line in dict.fromkeys(masked) if line not in self._masked}
        missing = self._recall([text for text in dict.fromkeys(said.values()) if text not in self._rows])
        if missing:
            ctx.stage("encode", len(missing))
        missing.sort(key=len)  # lines of like length share a batch
        for start in range(0, len(missing), CHUNK):
            ctx.checkpoint()
            chunk = missing[start : start + CHUNK]
            vectors: Vectors = guard.call(self.encoder, "encode", chunk)
            self._append(chunk, vectors)
            if self._backend:
                rows = (row.tobytes() for row in vectors.astype("<f4"))
                self._backend.put(self.digest, dict(zip(map(key, chunk), rows, strict=True)))
            ctx.advance(len(chunk))
        self._masked.update((line, self._rows[text]) for line, text in said.items())
        self._raw.update(zip(unseen, map(self._masked.__getitem__, masked), strict=True))

    def _recall(self, lines: list[str]) -> list[str]:
        """Take what the backend knows of `lines` (what they say) into memory; return those it does not know."""
        if not self._backend or not lines:
            return lines
        keys = dict(zip(lines, map(key, lines), strict=True))
        found = self._backend.get(self.digest, list(keys.values()))
        known = [line for line in lines if keys[line] in found]
        if known:
            raw = b"".join(found[keys[line]] for line in known)
            self._append(known, np.frombuffer(raw, "<f4").reshape(len(known), self.dim))
        return [line for line in lines if keys[line] not in found]

    def _append(self, lines: Iterable[str], vectors: Vectors) -> None:
        first = len(self._rows)
        last = first + len(vectors)
        if last > len(self._table):
            table = np.empty((max(last, 2 * len(self._table)), self.dim), np.float32)
            table[:first] = self._table[:first]
            self._table = table
        self._table[first:last] = vectors
        self._rows.update(zip(lines, range(first, last), strict=True))

    def _forget(self) -> None:
        self._raw, self._masked, self._rows = {}, {}, {}
        self._table = np.empty((0, self.dim), np.float32)


def says(line: str) -> str:
    """Return what of a masked line is encoded: its level and message, and neither component nor layout."""
    level, _, message = statement.read(line)
    return f"{level} {message}" if level else message


def key(line: str) -> bytes:
    """Return the key of what a line says: BLAKE2b with 128 bits."""
    return blake2b(line.encode(), digest_size=16).digest()
