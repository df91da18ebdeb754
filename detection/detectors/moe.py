"""The supervised detector: line vectors, self-attention and a Top-P mixture of experts (`detection.engine.moe`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from detection.engine.config import MoEConfig, MoEOptions
from detection.engine.inputs import Inputs
from duolog.plugins.points import Detector, Needs
from duolog.plugins.types import Context, LineVectors, LogSequence, Vectors

if TYPE_CHECKING:
    from detection.engine.data import Lines
    from detection.engine.moe import EncoderWithMoE


class NotTrainable(ValueError):
    """The labels do not allow training; the message says what is missing."""


class Moe(Detector):
    """Learns from labelled sequences; sequences without a label are left out of the fit."""

    Options = MoEOptions
    options: MoEOptions
    needs: ClassVar[Needs] = Needs(packages=("torch",))
    model: EncoderWithMoE
    inputs: Inputs

    def fit(
        self, train: Sequence[LogSequence], validation: Sequence[LogSequence], vectors: LineVectors, ctx: Context
    ) -> float:
        """Train in two stages and return the threshold of the best F1 on `validation`, 0.5 without one."""
        import torch

        from detection.engine import calibrate, loop
        from detection.engine.data import LogSequenceDataset
        from detection.engine.device import device

        train, validation = _labelled(train), _labelled(validation)
        labels = [sequence.label or 0 for sequence in train]
        if len(set(labels)) < 2:
            raise NotTrainable(
                f"training needs normal and anomalous sequences; of {len(train)} labelled ones {sum(labels)} are "
                "anomalous. The detector `neighbours` needs no labels"
            )
        self.inputs = Inputs.learn(train)
        rows, table = self._lines([*train, *validation], vectors, ctx)
        held_out, truth = rows[len(train) :], np.array([sequence.label for sequence in validation], np.int64)
        self.model = loop.build(self.options, vectors.dim, self.options.seed)
        used = np.unique(np.concatenate(rows[: len(train)])[:, 0])
        self.model.standardise(torch.from_numpy(table[used]).to(device()))
        data = LogSequenceDataset(rows[: len(train)], labels, self.options.window)
        loop.train(self.model, self.options, data, (held_out, truth), table, ctx)
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

    def save(self, folder: Path) -> None:
        """Write weights and shape."""
        from detection.engine import serialize

        config = {name: value for name, value in asdict(self.options).items() if name in MoEConfig.__dataclass_fields__}
        tensors = {name: tensor.cpu().numpy() for name, tensor in self.model.state_dict().items()}
        tensors |= self.inputs.arrays()
        serialize.save(folder, tensors, {"config": config, "dim": self.model.dim})

    def load(self, folder: Path) -> None:
        """Restore a trained model; the gate is on."""
        import torch

        from detection.engine import loop, serialize

        arrays, state = serialize.load(folder)
        self.inputs = Inputs.restore(arrays.pop("history.keys"), arrays.pop("history.values"))
        self.model = loop.build(MoEConfig(**state["config"]), state["dim"], seed=0)
        self.model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        self.model.gate(on=True)

    def _lines(
        self, sequences: Sequence[LogSequence], vectors: LineVectors, ctx: Context
    ) -> tuple[list[Lines], Vectors]:
        rows, table = vectors.index(sequences, ctx)
        codes = self.inputs.codes(sequences)
        return [np.column_stack(both) for both in zip(rows, codes, strict=True)], table


def _labelled(sequences: Sequence[LogSequence]) -> list[LogSequence]:
    return [sequence for sequence in sequences if sequence.label is not None and sequence.entries]
