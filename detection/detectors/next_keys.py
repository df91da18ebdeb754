"""Rivals from the field: `deeplog` and `logbert`, as their papers have them (`detection.engine.next_keys`)."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from detection.engine import calibrate, serialize
from detection.engine.keys import corpus
from duolog.plugins.points import Detector, Needs
from duolog.plugins.types import Context, LineVectors, LogSequence

if TYPE_CHECKING:
    from detection.engine.next_keys import KeyModel, Row

VOCABULARY = 5000
"""The most frequent masked lines are keys; all others are one unknown key."""
USUAL = 0.99
"""Without labels on `validation`: the share of the fitted sequences that stay below the threshold."""


class NoNormal(ValueError):
    """There is no normal sequence with lines to learn from."""


@dataclass(frozen=True)
class KeyOptions:
    """`candidates` likeliest keys are expected ones (g in both papers).

    A sequence of more than `window` lines is read in pieces.
    """

    candidates: int = 9
    hidden: int = 64
    layers: int = 2
    window: int = 128
    epochs: int = 10
    batch: int = 64
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.candidates, self.hidden, self.layers, self.epochs, self.batch) < 1 or self.window < 2:
            raise ValueError("candidates, hidden, layers, epochs and batch must be at least 1, window at least 2")
        if self.hidden % 4 or self.learning_rate <= 0:
            raise ValueError("hidden must be a multiple of 4, learning_rate above 0")


class _Keys(Detector):
    """Learns normal sequences of keys; the threshold is that of the best F1 on validation."""

    Options = KeyOptions
    options: KeyOptions
    needs: ClassVar[Needs] = Needs(packages=("torch",))
    numbers: dict[str, int]
    model: KeyModel

    @abstractmethod
    def build(self, keys: int) -> KeyModel:
        """Return an untrained model of so many keys."""

    @abstractmethod
    def judge(self, ranks: NDArray[np.int64]) -> float:
        """Return the score, 0 to 1, of a sequence from how many keys were likelier than each that came."""

    def fit(
        self, train: Sequence[LogSequence], validation: Sequence[LogSequence], vectors: LineVectors, ctx: Context
    ) -> float:
        """Learn from the sequences that nobody called anomalous, and return the threshold."""
        from detection.engine import next_keys

        normal = [sequence for sequence in train if sequence.label != 1 and sequence.entries]
        if not normal:
            raise NoNormal(f"of {len(train)} sequences none is normal and has lines; there is nothing to learn from")
        whole = corpus(normal, {})
        common = Counter(whole.flat.tolist()).most_common(VOCABULARY)
        self.numbers = {whole.lines[number]: at for at, (number, _) in enumerate(common)}
        self.model = self._model(self.options.seed)
        rows = [piece for pieces in self._rows(normal) for piece in pieces]
        asked = self.options
        next_keys.train(self.model, rows, asked.epochs, asked.batch, asked.learning_rate, asked.seed, ctx)
        labelled = [sequence for sequence in validation if sequence.label is not None]
        usual = float(np.nextafter(np.quantile(self.score(normal[:1000], vectors, ctx), USUAL), 1))
        truth = [sequence.label or 0 for sequence in labelled]
        return calibrate.best_f1(truth, self.score(labelled, vectors, ctx), usual) if labelled else usual

    def score(self, sequences: Sequence[LogSequence], vectors: LineVectors, ctx: Context) -> NDArray[np.float64]:
        """Return one score for each sequence; without lines it is 0."""
        from detection.engine import next_keys

        pieces = self._rows(sequences)
        found = iter(next_keys.ranks(self.model, [row for mine in pieces for row in mine], ctx))
        scores = np.zeros(len(sequences))
        for position, mine in enumerate(pieces):
            ranks = [np.where(row == next_keys.UNKNOWN, VOCABULARY, next(found)) for row in mine]
            scores[position] = self.judge(np.concatenate(ranks)) if ranks else 0.0
        return scores

    def save(self, folder: Path) -> None:
        """Write weights and keys."""
        tensors = {name: tensor.cpu().numpy() for name, tensor in self.model.state_dict().items()}
        serialize.save(folder, tensors, {"lines": list(self.numbers)})

    def load(self, folder: Path) -> None:
        """Restore a trained model."""
        import torch

        arrays, state = serialize.load(folder)
        self.numbers = {line: number for number, line in enumerate(state["lines"])}
        self.model = self._model(0)
        self.model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})

    def _model(self, seed: int) -> KeyModel:
        import torch

        from detection.engine import next_keys
        from detection.engine.device import device

        with torch.random.fork_rng(devices=[]):  # leaves the process's own random state alone
            torch.manual_seed(seed)
            return self.build(next_keys.KEYS + len(self.numbers)).to(device())

    def _rows(self, sequences: Sequence[LogSequence]) -> list[list[Row]]:
        """Return the keys of each sequence in pieces of at most `window`."""
        from detection.engine.next_keys import KEYS, UNKNOWN

        size = self.options.window
        rows = [np.where(row < len(self.numbers), row + KEYS, UNKNOWN) for row in corpus(sequences, self.numbers).rows]
        return [[row[at : at + size].astype(np.int64) for at in range(0, len(row), size)] for row in rows]


class DeepLog(_Keys):
    """Next-key prediction by an LSTM (Du et al., CCS 2017).

    The score is r / (r + g) of the highest rank r that a key of the sequence had, so that 0.5 is where the paper calls
    an alarm: a key that is not among the g likeliest.
    """

    def build(self, keys: int) -> KeyModel:
        """Return the LSTM."""
        from detection.engine.next_keys import NextKey

        return NextKey(keys, self.options.hidden, self.options.layers)

    def judge(self, ranks: NDArray[np.int64]) -> float:
        """Return r / (r + g)."""
        worst = int(ranks.max())
        return worst / (worst + self.options.candidates)


class LogBert(_Keys):
    """Masked-key prediction by a small transformer (Guo et al., IJCNN 2021).

    The score is the share of keys that, masked, are not among the g likeliest.
    """

    def build(self, keys: int) -> KeyModel:
        """Return the transformer."""
        from detection.engine.next_keys import MaskedKey

        return MaskedKey(keys, self.options.hidden, self.options.layers, self.options.window)

    def judge(self, ranks: NDArray[np.int64]) -> float:
        """Return the share of keys beyond the g likeliest."""
        return float((ranks >= self.options.candidates).mean())
