"""Rivals on count vectors: an isolation forest, or what principal components leave over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from detection.engine import serialize
from detection.engine.keys import Corpus, corpus, drawn
from duolog.plugins.points import Detector
from duolog.plugins.types import Context, LineVectors, LogSequence

KEYS = 1000
"""The most frequent masked lines have a count of their own; all others share one."""
SEQUENCES, LINES = 10_000, 1_000_000
VARIANCE = 0.95
"""Share of the variance that the principal components keep (Xu et al., SOSP 2009)."""


@dataclass(frozen=True)
class CountsOptions:
    """`method` is forest (Liu et al., ICDM 2008) or pca (Xu et al., SOSP 2009).

    `expected` is the share of the fitted sequences that may be anomalous: the threshold lies above all others.
    """

    method: Literal["forest", "pca"] = "forest"
    expected: float = 0.01
    trees: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.expected < 0.5 or self.trees < 1:
            raise ValueError("expected must be at least 0 and below 0.5, trees at least 1")


class Counts(Detector):
    """Knows how often each line occurs in a sequence, and neither their order nor what they say; reads no labels.

    The forest's score is that of its paper; that of pca is r / (r + t) of the squared residual r and its threshold t.
    Counts are log-scaled. What is stored are the fitted counts: a fit of the same counts and seed is the same model.
    """

    Options = CountsOptions
    options: CountsOptions
    needs_labels: ClassVar[bool] = False
    lines: list[str]
    counts: NDArray[np.float32]  # [S, KEYS + 1], the last column for all other lines
    limit: float

    def fit(
        self, train: Sequence[LogSequence], validation: Sequence[LogSequence], vectors: LineVectors, ctx: Context
    ) -> float:
        """Fit to `train` (and not `validation`), and return the threshold."""
        whole = corpus(drawn(train, SEQUENCES, LINES, self.options.seed), {})
        self.lines = [whole.lines[number] for number, _ in Counter(whole.flat.tolist()).most_common(KEYS)]
        numbers = {line: number for number, line in enumerate(self.lines)}
        self.counts = self._counts(corpus(drawn(train, SEQUENCES, LINES, self.options.seed), numbers))
        ctx.stage("fit")
        self._build()
        self.limit = 1.0
        usual = np.quantile(self._raw(self.counts), 1 - self.options.expected)
        if self.options.method == "forest":
            return float(np.nextafter(usual, 1))
        self.limit = max(float(usual), 1e-6)
        return 0.5

    def score(self, sequences: Sequence[LogSequence], vectors: LineVectors, ctx: Context) -> NDArray[np.float64]:
        """Return one score for each sequence; without lines it is 0."""
        if not sequences:
            return np.zeros(0)
        judged = corpus(sequences, {line: number for number, line in enumerate(self.lines)})
        raw = self._raw(self._counts(judged))
        scores = raw if self.options.method == "forest" else raw / (raw + self.limit)
        return np.where(judged.lengths > 0, scores, 0.0)

    def save(self, folder: Path) -> None:
        """Write the counts that were fitted."""
        serialize.save(folder, {"counts": self.counts}, {"lines": self.lines, "limit": self.limit})

    def load(self, folder: Path) -> None:
        """Fit to what `save` wrote."""
        arrays, state = serialize.load(folder)
        self.counts, self.lines, self.limit = arrays["counts"], state["lines"], float(state["limit"])
        self._build()

    def _counts(self, judged: Corpus) -> NDArray[np.float32]:
        table, known = judged.counts(), len(self.lines)
        rest = np.asarray(table[:, known:].sum(1))
        return np.log1p(np.hstack([table[:, :known].toarray(), rest])).astype(np.float32)

    def _build(self) -> None:
        from sklearn.decomposition import PCA
        from sklearn.ensemble import IsolationForest

        if self.options.method == "forest":
            forest = IsolationForest(n_estimators=self.options.trees, random_state=self.options.seed)
            self.model = forest.fit(self.counts)
        else:
            components = VARIANCE if self.counts.std() > 0 and len(self.counts) > 1 else None
            self.model = PCA(components, svd_solver="full").fit(self.counts)

    def _raw(self, counts: NDArray[np.float32]) -> NDArray[np.float64]:
        if self.options.method == "forest":
            return np.asarray(-self.model.score_samples(counts), np.float64)
        back = self.model.inverse_transform(self.model.transform(counts))
        return np.asarray(((counts - back) ** 2).sum(1), np.float64)
