"""Line vectors: each distinct masked line is encoded once, wherever it is met again."""

from __future__ import annotations

import numpy as np
import pytest

from detection.engine.vectors import VectorStore
from duolog.plugins.points import Encoder
from duolog.plugins.types import LogSequence, NullContext


class Letters(Encoder):
    """Counts letters; remembers what it was asked. Enough to test what is asked, which is all that matters here."""

    dim = 26
    digest = "letters"

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def encode(self, lines):
        self.asked += lines
        return np.array([[line.lower().count(chr(97 + n)) for n in range(26)] for line in lines], np.float32)


class Memory:
    """A backend as the table is one."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, digest, keys):
        return {name: self.rows[name] for name in keys if name in self.rows}

    def put(self, digest, vectors):
        self.rows |= vectors


class Counting(NullContext):
    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.done = self.looks = 0

    def stage(self, name, total=0):
        self.stages.append((name, total))

    def advance(self, steps=1):
        self.done += steps

    def checkpoint(self, step=0, save=None):
        self.looks += 1


def sequences(*texts: str) -> list[LogSequence]:
    return [LogSequence(str(n), tuple(text.split("|"))) for n, text in enumerate(texts)]


def test_rows_point_to_the_vector_of_their_line():
    encoder = Letters()
    rows, table = VectorStore(encoder).index(sequences("took 3 ms|done|took 44 ms", "done"), NullContext())
    assert sorted(encoder.asked) == ["done", "took <*> ms"]
    assert rows[0][0] == rows[0][2] and rows[0][1] == rows[1][0]
    assert np.array_equal(table[rows[1][0]], Letters().encode(["done"])[0])


def test_a_line_is_encoded_once_for_all_calls_and_processes():
    memory, first, second = Memory(), Letters(), Letters()
    store = VectorStore(first, memory)
    store.index(sequences("alpha 1|beta"), NullContext())
    store.index(sequences("alpha 2|beta"), NullContext())
    assert len(first.asked) == 2
    rows, table = VectorStore(second, memory).index(sequences("alpha 7|beta|gamma"), NullContext())
    assert second.asked == ["gamma"]
    assert np.array_equal(table[rows[0]], Letters().encode(["alpha <*>", "beta", "gamma"]))


def test_memory_is_bounded_and_forgetting_encodes_nothing_again():
    memory, encoder = Memory(), Letters()
    store = VectorStore(encoder, memory, lines=10)
    words = [chr(97 + a) + chr(97 + b) for a in range(6) for b in range(6)]
    for _ in range(3):
        for word in words:
            rows, table = store.index(sequences(word), NullContext())
            assert np.array_equal(table[rows[0][0]], Letters().encode([word])[0])
            assert len(table) <= 11
    assert sorted(encoder.asked) == sorted(words)


def test_a_table_in_use_stays_right_when_more_lines_come():
    store = VectorStore(Letters())
    rows, table = store.index(sequences("alpha|beta"), NullContext())
    before = table[rows[0]].copy()
    store.index(sequences("|".join(chr(97 + a) + chr(97 + b) for a in range(26) for b in range(26))), NullContext())
    assert np.array_equal(table[rows[0]], before)


def test_encoding_is_shown_as_a_stage_and_can_be_stopped():
    ctx = Counting()
    VectorStore(Letters()).index(sequences("|".join(chr(97 + n) for n in range(26))), ctx)
    assert ctx.stages == [("encode", 26)]
    assert ctx.done == 26 and ctx.looks >= 1


def test_sequences_without_lines_have_no_rows():
    rows, _ = VectorStore(Letters()).index([LogSequence("e", ()), *sequences("a")], NullContext())
    assert [len(row) for row in rows] == [0, 1]


def test_a_wrong_encoder_is_named():
    class Short(Letters):
        def encode(self, lines):
            return super().encode(lines)[:, :5]

    with pytest.raises(Exception, match="26"):
        VectorStore(Short()).index(sequences("a"), NullContext())
