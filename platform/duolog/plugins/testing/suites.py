# ruff: noqa: S101 - pytest tests by assert
"""The suites of formats, receivers, encoders, detectors and generators."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from duolog.plugins import guard
from duolog.plugins.options import as_json, build
from duolog.plugins.points import API, Detector, Format, Plugin
from duolog.plugins.types import (
    BadRecord,
    Context,
    LogBatch,
    LogSequence,
    NullContext,
    Receipt,
    Received,
    Record,
    Refused,
    Reply,
    Vectors,
)  # fmt: skip


class Conformance:
    """What holds for every plugin."""

    plugin: ClassVar[type[Plugin]]
    options: ClassVar[dict[str, Any]] = {}

    def make(self) -> Any:
        """Return the plugin with its options."""
        return self.plugin(build(self.plugin.Options, self.options))

    def test_is_written_for_this_version(self) -> None:
        """`api` is the version of the contracts."""
        assert self.plugin.api == API

    def test_options_survive_json(self) -> None:
        """Options are frozen, and come back from what is stored beside a result."""
        options: Any = build(self.plugin.Options, self.options)
        assert dataclasses.is_dataclass(self.plugin.Options)
        assert build(self.plugin.Options, as_json(options)) == options


class FormatConformance(Conformance):
    """`sample` is a small file of the format, with at least one good row."""

    plugin: ClassVar[type[Plugin]]
    sample: ClassVar[bytes]

    def read(self, data: bytes) -> list[Record]:
        """Return the records of a file's bytes."""
        return list(guard.call(self.make(), "read", io.BufferedReader(io.BytesIO(data))))

    def test_recognises_its_own(self) -> None:
        """The sample is recognised, by content or by name."""
        extension = (*self.plugin.extensions, "")[0]  # type: ignore[attr-defined]
        assert guard.call(self.make(), "sniff", self.sample[: 64 << 10], f"sample{extension}") >= 0.5

    def test_does_not_claim_noise(self) -> None:
        """Bytes that are no text are nobody's."""
        assert guard.call(self.make(), "sniff", bytes(range(256)), "noise.bin") < 0.5

    def test_reads_the_sample(self) -> None:
        """There are sequences in it, with lines."""
        sequences = [one for one in self.read(self.sample) if isinstance(one, LogSequence)]
        assert sequences
        assert all(one.id and one.entries for one in sequences)

    def test_reading_twice_gives_the_same(self) -> None:
        """Ids are stable, or importing a file twice would double it."""
        assert self.read(self.sample) == self.read(self.sample)

    def test_noise_is_a_bad_record_or_nothing(self) -> None:
        """Rows that make no sense do not raise."""
        self.read(b"")
        assert all(isinstance(one, Record) for one in self.read(bytes(range(256)) * 10))

    def test_a_torn_file_keeps_its_beginning(self) -> None:
        """A file that ends anywhere does not raise, and what it says is shorter, not different."""
        for end in range(0, len(self.sample), max(1, len(self.sample) // 50)):
            for one in self.read(self.sample[:end]):
                assert isinstance(one, LogSequence | BadRecord)

    def test_what_is_written_can_be_read(self) -> None:
        """A format that writes loses neither lines nor labels."""
        if type(self.make()).write is Format.write:
            return
        whole = [one for one in self.read(self.sample) if isinstance(one, LogSequence)]
        stream = io.BytesIO()
        assert guard.call(self.make(), "write", iter(whole), stream) == len(whole)
        again = [one for one in self.read(stream.getvalue()) if isinstance(one, LogSequence)]
        assert [one.entries for one in again] == [one.entries for one in whole]
        assert [one.label for one in again] == [one.label for one in whole]


class ReceiverConformance(Conformance):
    """`sample` is the body of a request with at least one good line, sent to `path` as `content_type`."""

    plugin: ClassVar[type[Plugin]]
    path: ClassVar[str]
    sample: ClassVar[bytes]
    content_type: ClassVar[str] = "application/json"

    def send(self, body: bytes, refusing: Refused | None = None) -> tuple[Reply, list[LogBatch]]:
        """Return the answer to a body and what was stored; the store may refuse."""
        stored: list[LogBatch] = []
        plugin = self.make()

        def store(batch: LogBatch) -> Receipt:
            if refusing:
                raise refusing
            stored.append(batch)
            return Receipt("receipt", len(batch.texts), len(batch.rejected))

        request = Received("POST", self.path, self.content_type, {}, {}, body)
        try:
            return guard.call(plugin, "handle", request, store), stored
        except Refused as refused:
            return guard.call(plugin, "refuse", request, refused), stored

    def test_claims_its_path(self) -> None:
        """The path is one of its own."""
        assert any(re.fullmatch(pattern, self.path) for pattern in self.make().paths)

    def test_stores_the_sample(self) -> None:
        """There are lines in it, none is rejected, and the client is told success."""
        reply, stored = self.send(self.sample)
        assert 200 <= reply.status < 300
        assert stored[0].texts
        assert not stored[0].rejected

    def test_reading_twice_gives_the_same(self) -> None:
        """Nothing is carried over from one request to the next."""
        assert self.send(self.sample)[1] == self.send(self.sample)[1]

    def test_noise_is_refused_or_rejected(self) -> None:
        """Bytes that make no sense do not raise, nor are they told as an error of ours."""
        for noise in (b"", b"\0", bytes(range(256)) * 10, self.sample[1:], self.sample * 2):
            assert 200 <= self.send(noise)[0].status < 500

    def test_a_torn_body_does_not_raise(self) -> None:
        """A request that ends anywhere is read as far as it goes, or refused."""
        for end in range(0, len(self.sample), max(1, len(self.sample) // 50)):
            assert 200 <= self.send(self.sample[:end])[0].status < 500

    def test_overload_is_told_and_nothing_stored(self) -> None:
        """The client hears the status at which it waits, and when to come again."""
        overloaded = self.make().overloaded
        reply, stored = self.send(self.sample, Refused(overloaded, "busy", retry_after=7))
        assert (reply.status, reply.headers.get("Retry-After"), stored) == (overloaded, "7", [])


class EncoderConformance(Conformance):
    """`lines` are encoded; the default holds what logs hold."""

    lines: ClassVar[Sequence[str]] = (
        "connection to <*> timed out",
        "数据库连接超时 耗时<*>ms",
        "",
        "x" * 5000,
        "🙂 <*>",
    )

    def test_one_finite_row_a_line(self) -> None:
        """float32 [lines, dim], also for empty, very long and Chinese lines."""
        assert len(guard.call(self.make(), "encode", list(self.lines))) == len(self.lines)
        assert len(guard.call(self.make(), "encode", [])) == 0

    def test_a_line_does_not_depend_on_its_neighbours(self) -> None:
        """Vectors are cached by line, so order and company must not matter."""
        encoder = self.make()
        together: Vectors = guard.call(encoder, "encode", list(self.lines))
        backwards: Vectors = guard.call(encoder, "encode", list(self.lines)[::-1])[::-1]
        np.testing.assert_allclose(together, backwards, atol=2e-2)

    def test_digest_is_stable(self) -> None:
        """Two of the same are the same; the digest is the key of the cache."""
        assert self.make().digest == self.make().digest
        assert self.make().dim > 0


class _Hashed:
    """Line vectors that need no encoder: a fixed random row for each distinct line."""

    dim = 32
    digest = "conformance"

    def index(self, sequences: Sequence[LogSequence], ctx: Context) -> tuple[list[NDArray[np.int32]], Vectors]:
        """Return one row-index array a sequence, and the table they point into."""
        rows: dict[str, int] = {}
        indices = [
            np.array([rows.setdefault(line, len(rows)) for line in one.entries], dtype=np.int32) for one in sequences
        ]
        seeds = (sum(line.encode()) * 1000 + len(line) for line in rows)
        table = [np.random.default_rng(seed).standard_normal(self.dim) for seed in seeds]
        return indices, np.array(table, dtype=np.float32).reshape(len(rows), self.dim)


class DetectorConformance(Conformance):
    """Fits on `train()`: 200 sequences of a dozen distinct lines, every eighth with lines that no other has."""

    def train(self) -> list[LogSequence]:
        """Return labelled sequences; override for a detector that needs others."""
        rng = np.random.default_rng(7)
        made = []
        for number in range(200):
            lines = [f"step {'abcdefgh'[step]} done" for step in rng.permutation(8)[: rng.integers(4, 8)]]
            label = int(number % 8 == 0)
            made.append(LogSequence(f"s{number}", tuple(lines + ["failure of", "all retries"] * label), label))
        return made

    def fitted(self) -> tuple[Detector, float]:
        """Return a fitted detector and its threshold."""
        detector, data = self.make(), self.train()
        return detector, guard.call(detector, "fit", data[:150], data[150:], _Hashed(), NullContext())

    def score(self, detector: Detector, sequences: Sequence[LogSequence]) -> NDArray[np.float64]:
        """Return checked scores."""
        return guard.score(detector, sequences, _Hashed(), NullContext())

    def test_threshold_lies_among_the_scores(self) -> None:
        """A threshold outside [0, 1] would call all or nothing anomalous."""
        assert 0 <= self.fitted()[1] <= 1

    def test_scores_follow_their_sequences(self) -> None:
        """One score each, in order, whoever stands beside it."""
        detector, _ = self.fitted()
        data = self.train()[150:]
        forward = self.score(detector, data)
        np.testing.assert_allclose(self.score(detector, data[::-1])[::-1], forward, atol=1e-4)
        np.testing.assert_allclose(self.score(detector, data[:1]), forward[:1], atol=1e-4)
        assert len(self.score(detector, [])) == 0

    def test_what_was_saved_scores_the_same(self, tmp_path: Path) -> None:
        """A stored version is the version; and nothing in it is a pickle."""
        detector, _ = self.fitted()
        guard.call(detector, "save", tmp_path)
        again = self.make()
        guard.call(again, "load", tmp_path)
        data = self.train()[150:]
        np.testing.assert_allclose(self.score(again, data), self.score(detector, data), atol=1e-6)
        assert not [file for file in tmp_path.rglob("*") if file.suffix in {".pkl", ".pickle", ".pt", ".pth"}]


class GeneratorConformance(Conformance):
    """Generates 50 sequences."""

    def generate(self, seed: int) -> list[LogSequence]:
        """Return checked sequences."""
        return list(guard.call(self.make(), "generate", 50, seed))

    def test_as_many_as_asked_for_with_ids_of_their_own(self) -> None:
        """Ids are unique, and no sequence is empty."""
        made = self.generate(1)
        assert len({one.id for one in made}) == 50
        assert all(one.entries for one in made)

    def test_the_seed_decides(self) -> None:
        """The same seed gives the same sequences; another gives others."""
        assert self.generate(1) == self.generate(1)
        assert [one.entries for one in self.generate(1)] != [one.entries for one in self.generate(2)]
