"""The supervised detector: line vectors, self-attention and a Top-P mixture of experts (`detection.engine.moe`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from detection.engine.config import MoEConfig, MoEOptions
from detection.engine.inputs import Inputs
from duolog.plugins.points import Detector, Needs
from duolog.plugins.types import Context, LineVectors, LogSequence, Vectors
from logs.engine.masking import mask

if TYPE_CHECKING:
    from detection.engine.data import Lines
    from detection.engine.moe import EncoderWithMoE
    from detection.engine.vectors import VectorStore


class NotTrainable(ValueError):
    """The labels do not allow training; the message says what is missing."""


class Moe(Detector):
    """Learns from labelled sequences; sequences without a label are left out of the fit."""

    Options = MoEOptions
    options: MoEOptions
    needs: ClassVar[Needs] = Needs(packages=("torch",))
    model: EncoderWithMoE
    inputs: Inputs
    tuned: dict[str, NDArray[Any]]
    """Weights of the encoder that were trained with the model; none where it stayed as it is."""
    _own: tuple[LineVectors, LineVectors] | None = None

    def fit(
        self, train: Sequence[LogSequence], validation: Sequence[LogSequence], vectors: LineVectors, ctx: Context
    ) -> float:
        """Train in two stages and return the threshold of the best F1 on `validation`, 0.5 without one."""
        import torch

        from detection.engine import calibrate, loop
        from detection.engine.data import LogSequenceDataset
        from detection.engine.device import device
        from detection.engine.tuning import Tuning

        train, validation = _labelled(train), _labelled(validation)
        labels = [sequence.label or 0 for sequence in train]
        if len(set(labels)) < 2:
            raise NotTrainable(
                f"training needs normal and anomalous sequences; of {len(train)} labelled ones {sum(labels)} are "
                "anomalous. The detector `neighbours` needs no labels"
            )
        self.inputs = Inputs.learn(train)
        self.tuned, self._own = {}, None
        rows, table = self._lines([*train, *validation], vectors, ctx)
        held_out, truth = rows[len(train) :], np.array([sequence.label for sequence in validation], np.int64)
        self.model = loop.build(self.options, vectors.dim, self.options.seed)
        used = np.unique(np.concatenate(rows[: len(train)])[:, 0])
        self.model.standardise(torch.from_numpy(table[used]).to(device()))
        data = LogSequenceDataset(rows[: len(train)], labels, self.options.window)
        encoder = None
        if self.options.encoder_trainable:
            encoder = Tuning(_store(vectors).encoder, _said([*train, *validation], rows))
        loop.train(self.model, self.options, data, (held_out, truth), table, ctx, encoder)
        if encoder:
            self.tuned = encoder.weights()
            held_out, table = self._lines(validation, vectors, ctx)
        return calibrate.best_f1(truth, loop.score(self.model, held_out, table, ctx))

    def score(self, sequences: Sequence[LogSequence], vectors: LineVectors, ctx: Context) -> NDArray[np.float64]:
        """Return the probability of being anomalous for each sequence."""
        from detection.engine import loop
        from detection.engine.vectors import Quiet

        rows, table = self._lines(sequences, vectors, Quiet(ctx))
        return loop.score(self.model, rows, table, ctx)

    def route(self, sequences: Sequence[LogSequence], vectors: LineVectors, ctx: Context) -> NDArray[np.float64]:
        """Return how much each expert weighs in each sequence (`detection.engine.loop.route`)."""
        from detection.engine import loop
        from detection.engine.vectors import Quiet

        lines, table = self._lines(sequences, vectors, Quiet(ctx))
        return loop.route(self.model, lines, table, ctx)

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
        tensors |= self.inputs.arrays() | {PREFIX + name: array for name, array in self.tuned.items()}
        serialize.save(folder, tensors, {"config": config, "dim": self.model.dim})

    def load(self, folder: Path) -> None:
        """Restore a trained model; the gate is on."""
        import torch

        from detection.engine import loop, serialize
        from detection.engine.tuning import PREFIX

        arrays, state = serialize.load(folder)
        names = [name for name in arrays if name.startswith(PREFIX)]
        self.tuned = {name.removeprefix(PREFIX): arrays.pop(name) for name in names}
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
