"""`encoder.trainable=true`: the encoder learns with the model, and the version keeps what it has learned."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from detection.detectors.moe import Moe
from detection.engine import loop, tuning
from detection.engine.config import MoEOptions
from detection.engine.vectors import VectorStore
from duolog.plugins.options import build
from duolog.plugins.points import Encoder
from duolog.plugins.types import NullContext, Vectors

OPTIONS = MoEOptions(
    hidden=32, heads=4, intermediate=16, batch=32, epochs=2, learning_rate=1e-3, encoder_trainable=True,
    encoder_learning_rate=1e-2,
)  # fmt: skip
QUIET = NullContext()


class Letters(nn.Module):
    """A line is the mean of its letters' vectors."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.letters, self.dense = nn.EmbeddingBag(256, 12, mode="mean"), nn.Linear(12, 12)
        self.letters.requires_grad_(False)
        self.asked: list[Sequence[str]] = []

    def forward(self, lines: Sequence[str]) -> torch.Tensor:
        self.asked.append(lines)
        rows = [torch.tensor(list(line.encode()) or [0]) for line in lines]
        starts = torch.tensor([0, *np.cumsum([len(row) for row in rows])[:-1]])
        return self.dense(self.letters(torch.cat(rows), starts)).tanh()


class Small(Encoder):
    """An encoder that can be trained further."""

    dim = 12  # type: ignore[assignment]
    digest = hashlib.sha256(b"small").hexdigest()  # type: ignore[assignment]

    def encode(self, lines: Sequence[str]) -> Vectors:
        with torch.no_grad():
            return self.trainable()(lines).numpy()

    def trainable(self) -> Letters:
        return Letters()


class Fixed(Small):
    """One that cannot."""

    trainable = Encoder.trainable  # type: ignore[assignment]

    def encode(self, lines: Sequence[str]) -> Vectors:
        return np.zeros((len(lines), 12), np.float32)


class Memory:
    """A backend in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[bytes, bytes]] = {}

    def get(self, digest: str, keys: list[bytes]) -> dict[bytes, bytes]:
        known = self.kept.get(digest, {})
        return {key: known[key] for key in keys if key in known}

    def put(self, digest: str, vectors: dict[bytes, bytes]) -> None:
        self.kept.setdefault(digest, {}).update(vectors)


class Interrupted(Exception):
    pass


class Watched(NullContext):
    """Keeps metrics and the last checkpoint, and stops at step `until`."""

    def __init__(self, folder: Path | None = None, until: int = -1, start: tuple[int, Path] | None = None) -> None:
        self.folder, self.until, self.start = folder, until, start
        self.losses: list[float] = []
        self.kept: tuple[int, Path] | None = None

    def metric(self, name: str, value: float, step: int) -> None:
        if name == "loss":
            self.losses.append(value)

    def checkpoint(self, step=0, save=None):
        if save and self.folder and step == self.until:
            self.kept = (step, self.folder)
            save(self.folder)
            raise Interrupted

    def resume(self):
        return self.start


@pytest.fixture(scope="module")
def data(shop):
    return shop(320, seed=1), shop(80, seed=2), shop(100, seed=3)


def test_the_name_with_a_dot_is_understood():
    assert build(MoEOptions, {"encoder.trainable": "true"}).encoder_trainable
    assert not MoEOptions().encoder_trainable


def test_the_encoder_learns_and_comes_back_with_the_version(data, tmp_path):
    backend, watched = Memory(), Watched()
    store, detector = VectorStore(Small(), backend), Moe(OPTIONS)
    detector.fit(data[0], data[1], store, watched)
    assert np.mean(watched.losses[-2:]) < watched.losses[0]
    assert not np.array_equal(detector.tuned["dense.weight"], Letters().dense.weight.detach().numpy())
    assert "letters.weight" not in detector.tuned, "what asks for no gradients is not kept"
    scores = detector.score(data[2], store, QUIET)
    detector.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}
    loaded, fresh = Moe(), VectorStore(Small(), Memory())
    loaded.load(tmp_path)
    np.testing.assert_allclose(loaded.score(data[2], fresh, QUIET), scores, atol=1e-6)
    own = tuning.TunedEncoder(Small(), detector.tuned).digest
    assert set(backend.kept) == {Small.digest, own} and own != Small.digest
    frozen, tuned = (next(iter(backend.kept[digest].items())) for digest in (Small.digest, own))
    assert backend.kept[own][frozen[0]] != frozen[1] and tuned, "the same line has a vector of its own"


def test_a_frozen_encoder_is_the_default(data):
    store, detector = VectorStore(Small()), Moe(replace(OPTIONS, encoder_trainable=False))
    detector.fit(data[0], data[1], store, QUIET)
    assert not detector.tuned


def test_only_the_lines_of_a_batch_are_encoded_and_each_once(monkeypatch):
    made = Letters()
    monkeypatch.setattr(Small, "trainable", lambda self: made)
    table = tuning.Tuning(Small(), {row: f"line {row}" for row in range(100)})
    vectors = table(torch.tensor([7, 3, 99]))
    assert vectors.requires_grad and [sorted(lines) for lines in made.asked] == [["line 3", "line 7", "line 99"]]


def test_chunks_change_nothing_but_the_memory(monkeypatch):
    lines = {row: "x" * (row % 9) + str(row) for row in range(50)}

    def gradients(at_once: int) -> tuple[torch.Tensor, torch.Tensor]:
        monkeypatch.setattr(tuning, "AT_ONCE", at_once)
        table = tuning.Tuning(Small(), lines)
        vectors = table(torch.arange(50))
        (vectors * torch.arange(600).reshape(50, 12)).sum().backward()
        return vectors.detach(), table.module.dense.weight.grad

    for found, expected in zip(gradients(7), gradients(1000), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(data, tmp_path, monkeypatch):
    whole, resumed, store = Moe(OPTIONS), Moe(OPTIONS), VectorStore(Small())
    whole.fit(data[0], data[1], store, QUIET)
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)
    killed = Watched(tmp_path, until=33)
    with pytest.raises(Interrupted):
        Moe(OPTIONS).fit(data[0], data[1], store, killed)
    resumed.fit(data[0], data[1], store, Watched(start=killed.kept))
    assert all(np.array_equal(resumed.tuned[name], tensor) for name, tensor in whole.tuned.items())
    scores = (each.score(data[2], store, QUIET) for each in (whole, resumed))
    np.testing.assert_array_equal(*scores)


def test_an_encoder_that_cannot_learn_is_refused_in_words(data):
    with pytest.raises(tuning.NotTrainable, match=r"Fixed cannot be trained further.*encoder\.trainable"):
        Moe(OPTIONS).fit(data[0], data[1], VectorStore(Fixed()), QUIET)


def test_bert_learns_all_but_its_words_and_starts_as_it_is(encoder):
    module = encoder.trainable()
    lines = ["数据库连接超时", "a line", ""]
    with torch.no_grad():
        np.testing.assert_allclose(module(lines).numpy(), encoder.encode(lines), atol=2e-2)
    module(lines).sum().backward()
    without = [name for name, each in module.named_parameters() if each.grad is None]
    assert [name.rsplit(".", 2)[-2] for name in without] == ["word_embeddings"]
