"""The supervised detector: line vectors, self-attention and a Top-P mixture of experts (`detection.engine.moe`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from detection.engine.config import MoEConfig, MoEOptions
from detection.engine.familiar import FEATURES, SEQUENCES, Familiar
from detection.engine.inputs import Inputs
from detection.engine.neighbours import LEAST
from duolog.plugins.points import Detector, Needs
from duolog.plugins.types import Context, LineVectors, LogSequence, Vectors
from logs.engine.masking import mask

if TYPE_CHECKING:
    from detection.engine.data import Causes, Lines
    from detection.engine.moe import EncoderWithMoE
    from detection.engine.vectors import VectorStore


LIGHTEST = 0.01
"""Least that a label weighs: without any weight in one of the classes there would be nothing to learn."""


class NotTrainable(ValueError):
    """The labels do not allow training; the message says what is missing."""


class Moe(Detector):
    """Learns from labelled sequences, and what is usual in the stream also from those without a label.

    It starts as the labels-free detector, and learns what to add to that (`detection.engine.familiar`).
    """

    Options = MoEOptions
    options: MoEOptions
    needs: ClassVar[Needs] = Needs(packages=("torch",))
    model: EncoderWithMoE
    inputs: Inputs
    tuned: dict[str, NDArray[Any]]
    """Weights of the encoder that were trained with the model; none where it stayed as it is."""
    _own: tuple[LineVectors, LineVectors] | None = None
    familiar: Familiar | None
    """None where too few sequences were there to tell what is usual, and with an encoder of its own."""

    def fit(
        self, train: Sequence[LogSequence], validation: Sequence[LogSequence], vectors: LineVectors, ctx: Context
    ) -> float:
        """Train in two stages and return the threshold of the best F1 (`detection.engine.fitting`)."""
        from detection.engine.fitting import TRUSTED, Fitting
        from detection.engine.tuning import Tuning

        stated = _labelled(train)
        validation = [sequence for sequence in _labelled(validation) if sequence.confidence > TRUSTED]
        labels = [sequence.label or 0 for sequence in stated]
        if len(set(labels)) < 2:
            raise NotTrainable(
                f"training needs normal and anomalous sequences; of {len(stated)} labelled ones {sum(labels)} are "
                "anomalous. The detector `neighbours` needs no labels"
            )
        train = [*stated, *self._drawn([sequence for sequence in train if sequence.label is None and sequence.entries])]
        self.inputs = Inputs.learn(train)
        self.tuned, self._own = {}, None
        lines, table = self._lines([*train, *validation], vectors, ctx)
        learned, held_out = lines[: len(train)], lines[len(train) :]
        confidence = np.clip([sequence.confidence for sequence in stated], LIGHTEST, 1)
        normal = (np.array(labels) == 0) & (confidence > TRUSTED)
        features = self._familiarise(learned, normal, table, ctx)
        truth = np.array([sequence.label for sequence in validation], np.int64)
        encoder = None
        if self.options.encoder_trainable:
            encoder = Tuning(_store(vectors).encoder, _said([*train, *validation], lines))
        causes = _causes(stated)
        fitting = Fitting(
            self.options, learned, np.array(labels), causes, confidence, features, self.familiar, table, encoder
        )
        self.model, threshold = fitting.fit((held_out, truth, self._features(held_out, table)), ctx)
        if encoder:
            self.tuned = encoder.weights()
        return threshold

    def _drawn(self, sequences: list[LogSequence]) -> list[LogSequence]:
        order = np.random.default_rng(self.options.seed).permutation(len(sequences))[:SEQUENCES]
        return [sequences[number] for number in sorted(order)]

    def _familiarise(
        self, lines: list[Lines], normal: NDArray[np.bool_], table: Vectors, ctx: Context
    ) -> NDArray[np.float32]:
        """Learn what is usual from all that nobody called anomalous; return the features of all.

        `normal` tells which of the first of `lines`, the labelled ones, are; the others are remembered first: they are
        the stream.
        """
        ctx.stage("fit")
        rows = [line[:, 0] for line in lines]
        called = np.random.default_rng(self.options.seed).permutation(np.flatnonzero(normal))
        crowd = np.concatenate([np.arange(len(normal), len(rows)), called])[:SEQUENCES]
        self.familiar = None
        # An encoder that learns moves every vector, so what was far from what would have to be learned anew.
        if len(crowd) < LEAST or self.options.encoder_trainable:
            return np.zeros((len(rows), FEATURES), np.float32)
        known = crowd < len(normal)
        self.familiar, found = Familiar.learn([rows[number] for number in crowd], known, table, self.options.seed)
        ctx.checkpoint()
        features = self.familiar.features(rows, table)
        features[crowd] = found
        return features

    def _features(self, lines: list[Lines], table: Vectors) -> NDArray[np.float32]:
        if self.familiar is None or not lines:
            return np.zeros((len(lines), FEATURES), np.float32)
        return self.familiar.features([line[:, 0] for line in lines], table)

    def score(self, sequences: Sequence[LogSequence], vectors: LineVectors, ctx: Context) -> NDArray[np.float64]:
        """Return the probability of being anomalous for each sequence."""
        from detection.engine import scoring
        from detection.engine.vectors import Quiet

        lines, table = self._lines(sequences, vectors, Quiet(ctx))
        return scoring.score(self.model, lines, table, ctx, self._features(lines, table))

    def route(self, sequences: Sequence[LogSequence], vectors: LineVectors, ctx: Context) -> NDArray[np.float64]:
        """Return how much each expert weighs in each sequence (`detection.engine.scoring.route`)."""
        from detection.engine import scoring
        from detection.engine.vectors import Quiet

        lines, table = self._lines(sequences, vectors, Quiet(ctx))
        return scoring.route(self.model, lines, table, ctx)

    def blame(self, sequences: Sequence[LogSequence], vectors: LineVectors, ctx: Context) -> list[NDArray[np.float64]]:
        """Return one weight a line, fast (`detection.engine.gradients.blame`)."""
        from detection.engine import gradients
        from detection.engine.vectors import Quiet

        lines, table = self._lines(sequences, vectors, Quiet(ctx))
        return gradients.blame(self.model, lines, table, ctx)

    def save(self, folder: Path) -> None:
        """Write weights and shape."""
        from detection.engine import serialize
        from detection.engine.tuning import PREFIX

        config = {name: value for name, value in asdict(self.options).items() if name in MoEConfig.__dataclass_fields__}
        tensors = {name: tensor.cpu().numpy() for name, tensor in self.model.state_dict().items()}
        tensors |= self.inputs.arrays() | (self.familiar.arrays() if self.familiar else {})
        tensors |= {PREFIX + name: array for name, array in self.tuned.items()}
        serialize.save(folder, tensors, {"config": config, "dim": self.model.dim})

    def load(self, folder: Path) -> None:
        """Restore a trained model; the gate is on."""
        import torch

        from detection.engine import loop, serialize
        from detection.engine.tuning import PREFIX

        arrays, state = serialize.load(folder)
        names = [name for name in arrays if name.startswith(PREFIX)]
        self.tuned = {name.removeprefix(PREFIX): arrays.pop(name) for name in names}
        self.familiar = Familiar.take(arrays)
        self.inputs = Inputs.restore(arrays.pop("history.keys"), arrays.pop("history.values"))
        self.model = loop.build(MoEConfig(**state["config"]), state["dim"], seed=0)
        self.model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        self.model.gate(on=True)

    def _lines(
        self, sequences: Sequence[LogSequence], vectors: LineVectors, ctx: Context
    ) -> tuple[list[Lines], Vectors]:
        rows, table = self._vectors(vectors).index(sequences, ctx)
        codes = self.inputs.codes(sequences)
        return [np.column_stack(both) for both in zip(rows, codes, strict=True)], table

    def _vectors(self, vectors: LineVectors) -> LineVectors:
        """Return the vectors of the encoder that was trained with the model, or else those that are given."""
        from detection.engine.tuning import TunedEncoder

        if not self.tuned:
            return vectors
        if self._own is None or self._own[0] is not vectors:
            store = _store(vectors)
            self._own = vectors, store.of(TunedEncoder(store.encoder, self.tuned))
        return self._own[1]


def _causes(sequences: Sequence[LogSequence]) -> list[Causes]:
    """Return which lines are root causes: those that `meta` of an anomalous sequence marks, and none of a normal one.

    Where no sequence has marks there is nothing to tell them by, so nothing is known of any line.
    """
    marks = [_marks(sequence) for sequence in sequences]
    known = any(marked for marked in marks)
    causes = []
    for sequence, marked in zip(sequences, marks, strict=True):
        each = np.full(len(sequence.entries), -1 if marked is None or not known else 0, np.int8)
        each[list(marked or ())] = 1
        causes.append(each)
    return causes


def _marks(sequence: LogSequence) -> Sequence[int] | None:
    """Return the lines that are marked; None where nobody said."""
    if not sequence.label:
        return ()
    marked, lines = sequence.meta.get("root_cause"), range(len(sequence.entries))
    if isinstance(marked, list | tuple) and all(type(line) is int and line in lines for line in marked):
        return marked
    return None


def _labelled(sequences: Sequence[LogSequence]) -> list[LogSequence]:
    return [sequence for sequence in sequences if sequence.label is not None and sequence.entries]


def _said(sequences: Sequence[LogSequence], rows: Sequence[Lines]) -> dict[int, str]:
    """Return what each row of the vector table that sequences use stands for."""
    from detection.engine.vectors import says

    raw = {
        row: line
        for each, index in zip(sequences, rows, strict=True)
        for row, line in zip(index[:, 0].tolist(), each.entries, strict=True)
    }
    return dict(zip(raw, map(says, mask(list(raw.values()))), strict=True))


def _store(vectors: LineVectors) -> VectorStore:
    from detection.engine.vectors import VectorStore

    if not isinstance(vectors, VectorStore):
        raise NotTrainable("an encoder can be trained where its vectors come from a VectorStore")
    return vectors
