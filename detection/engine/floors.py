"""Trivial rivals: what a few lines of code reach on the same sequences. A model that beats none is worth nothing.

All of them read masked lines as whole keys, so each distinct line is masked and tokenised once. They are fitted on
what the detector was fitted on; `tfidf` and `tree` need labels, the others take every sequence for normal that nobody
called anomalous. A version keeps the keys that they were fitted on (`Floors.save`), and fits them anew when it is
measured: seconds, and nothing to pickle.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from detection.engine import calibrate, metrics, serialize
from detection.engine.keys import Corpus, corpus, drawn
from duolog.plugins.types import LogSequence

Floats = NDArray[np.float64]

SEQUENCES, LINES = 10_000, 1_000_000
"""At most so many sequences and lines are learned from, drawn at random: some seconds, some megabytes."""
CROWD = 500
"""Normal sequences that `counts` compares with."""
NEAREST, LONGEST = 50, 64
"""Normal sequences that `edit` compares with, and the lines of a sequence that it looks at: its cost is the product."""
USUAL = 0.99
"""Without labels to choose a threshold on: the share of the fitted normal sequences that stay below it."""
FOLDER = "floors"
WORDS = r"[一-鿿]|[^\W一-鿿]{2,}"
"""What counts as a word: a Chinese character is one."""
KEYWORDS = re.compile(
    r"(?i:error|fail|exception|fatal|critical|panic|timeout|timed out|refused|denied|abort|corrupt|unreachable|lost)"
    r"|错误|失败|异常|超时|拒绝|崩溃|中断|丢失|不可用|致命|告警"
)


Score = Callable[[Corpus], Floats]
"""One score a sequence, rising with suspicion. The first lines of the corpus are those that were fitted on."""


def new_line(train: Corpus) -> Score:
    """Score by the share of lines that no normal sequence holds."""
    known = np.unique(train.normal().flat)

    def score(judged: Corpus) -> Floats:
        return _shares(~np.isin(judged.flat, known), judged.owner, judged.lengths)

    return score


def length(train: Corpus) -> Score:
    """Score by how far the length is from the median of normal sequences, on a logarithmic scale."""
    usual = np.median(np.log1p(train.normal().lengths))
    return lambda judged: np.abs(np.log1p(judged.lengths) - usual)


def counts(train: Corpus) -> Score:
    """Score by the Euclidean distance of the count vector (log-scaled) to the nearest normal one."""
    crowd = _drawn(train.normal(), CROWD).counts().log1p()
    squares = np.asarray(crowd.power(2).sum(1)).ravel()

    def score(judged: Corpus) -> Floats:
        mine = judged.counts().log1p()
        apart = (mine[:, : crowd.shape[1]] @ crowd.T).toarray() * -2 + squares + mine.power(2).sum(1)
        return np.sqrt(np.maximum(np.asarray(apart).min(1), 0))

    return score


def ngram(train: Corpus) -> Score:
    """Score by the share of pairs of neighbouring lines, the start being one, that no normal sequence holds."""
    known = np.unique(_pairs(train.normal()))
    return lambda judged: _shares(~np.isin(_pairs(judged), known), judged.owner, judged.lengths)


def edit(train: Corpus) -> Score:
    """Score by the edit distance to the nearest of some normal sequences, as a share of the longer one."""
    rows = {row[:LONGEST].tobytes(): row[:LONGEST] for row in _drawn(train.normal(), 10 * NEAREST).rows}
    near = list(rows.values())[:NEAREST]

    known, found = len(train.lines), dict[bytes, float]()

    def score(judged: Corpus) -> Floats:
        if len(found) > SEQUENCES:
            found.clear()
        scores = np.zeros(len(judged.lengths))
        for position, row in enumerate(judged.rows):
            mine = np.where(row < known, row, -2)[:LONGEST]  # new lines are all alike: none is in `near`
            key = mine.tobytes()
            if key not in found:
                found[key] = nearest(mine, near)
            scores[position] = found[key]
        return scores

    return score


def keyword(train: Corpus) -> Score:
    """Score by the number of lines that hold a word such as error, timeout or 失败."""

    def score(judged: Corpus) -> Floats:
        bad = np.array([KEYWORDS.search(line) is not None for line in judged.lines], bool)
        return np.bincount(judged.owner, bad[judged.flat], minlength=len(judged.lengths)).astype(np.float64)

    return score


def tfidf(train: Corpus) -> Score:
    """Score by logistic regression over TF-IDF of words and pairs of words."""
    words = HashingVectorizer(
        n_features=1 << 16, ngram_range=(1, 2), token_pattern=WORDS, norm=None, alternate_sign=False
    )
    table = words.transform(train.lines)  # [lines, words]: each distinct line is read once
    weights = TfidfTransformer(sublinear_tf=True)
    model = LogisticRegression(max_iter=1000, class_weight="balanced")
    model.fit(weights.fit_transform(train.counts() @ table), train.labels)

    def score(judged: Corpus) -> Floats:
        new = judged.lines[table.shape[0] :]
        whole = sparse.vstack([table, words.transform(new)]) if new else table
        chances: Floats = model.predict_proba(weights.transform(judged.counts() @ whole))[:, 1]
        return chances

    return score


def tree(train: Corpus) -> Score:
    """Score by a decision tree on how often each line occurs, and how many lines are new."""
    known = len(train.lines)
    model = DecisionTreeClassifier(min_samples_leaf=2, class_weight="balanced", random_state=0)

    def features(judged: Corpus) -> sparse.csr_matrix:
        all_counts = judged.counts()
        return sparse.csr_matrix(sparse.hstack([all_counts[:, :known], all_counts[:, known:].sum(1)]))

    model.fit(features(train), train.labels)

    def score(judged: Corpus) -> Floats:
        chances: Floats = model.predict_proba(features(judged))[:, 1]
        return chances

    return score


FLOORS: dict[str, Callable[[Corpus], Score]] = {
    "new-line": new_line, "length": length, "counts": counts, "n-gram": ngram, "edit": edit, "keyword": keyword,
}  # fmt: skip
LABELLED: dict[str, Callable[[Corpus], Score]] = {"tfidf": tfidf, "tree": tree}
"""Those that learn from labels."""


class Floors:
    """All floors, fitted on `train`; its labels are read where it has both."""

    def __init__(self, train: Corpus, thresholds: dict[str, float] | None = None) -> None:
        self.train = train
        self._numbers = {line: number for number, line in enumerate(train.lines)}
        said = train.only(train.labels >= 0)
        self._scores = {name: fit(train) for name, fit in FLOORS.items()}
        if len(np.unique(said.labels)) == 2:
            self._scores |= {name: fit(said) for name, fit in LABELLED.items()}
        self.thresholds = thresholds or {}

    @classmethod
    def fit(cls, train: Sequence[LogSequence], validation: Sequence[LogSequence], *, labels: bool) -> Floors:
        """Return floors fitted on `train`, with thresholds of the best F1 on `validation`.

        Without both labels in `validation` they are those that `USUAL` of the normal sequences do not reach. With
        `labels` false, as for a detector that reads none, those of `train` are not read.
        """
        whole = corpus(drawn(train, SEQUENCES, LINES), {})
        floors = cls(
            whole if labels else Corpus(whole.flat, whole.lengths, whole.lines, np.full_like(whole.labels, -1))
        )
        held_out = [sequence for sequence in drawn(validation, SEQUENCES, LINES) if sequence.label is not None]
        truth, values = [sequence.label or 0 for sequence in held_out], floors.scores(held_out)
        usual = floors._score(_drawn(floors.train.normal(), CROWD))
        for column, name in enumerate(floors.names):
            highest = float(np.nextafter(np.quantile(usual[:, column], USUAL), np.inf))
            found = calibrate.best_f1(truth, values[:, column], highest) if held_out else highest
            floors.thresholds[name] = found
        return floors

    @property
    def names(self) -> list[str]:
        """Return the floors' names, in the order of the scores' columns."""
        return list(self._scores)

    def scores(self, sequences: Sequence[LogSequence]) -> Floats:
        """Return the scores of sequences, [S, floors]; give some thousand at once."""
        return self._score(corpus(sequences, self._numbers))

    def measure(self, labels: Sequence[int], scores: Floats) -> dict[str, dict[str, float]]:
        """Return what `metrics.evaluate` says of each floor, by name; `scores` are those of `scores`."""
        found = zip(self.names, scores.T, strict=True)
        return {name: metrics.evaluate(labels, column, self.thresholds[name]) for name, column in found}

    def save(self, folder: Path) -> None:
        """Write what they were fitted on, and the thresholds, into a model's folder."""
        place = folder / FOLDER
        place.mkdir()
        arrays: dict[str, NDArray[Any]] = {
            "flat": self.train.flat,
            "lengths": self.train.lengths,
            "labels": self.train.labels,
        }
        serialize.save(place, arrays, {"lines": self.train.lines, "thresholds": self.thresholds})

    @classmethod
    def load(cls, folder: Path) -> Floors | None:
        """Return what `save` wrote; None for a model of before."""
        if not (folder / FOLDER).exists():
            return None
        arrays, state = serialize.load(folder / FOLDER)
        return cls(Corpus(**arrays, lines=state["lines"]), dict(state["thresholds"]))

    def _score(self, judged: Corpus) -> Floats:
        return np.stack([score(judged) for score in self._scores.values()], axis=1)


def best(measured: dict[str, dict[str, float]]) -> str:
    """Return the name of the floor that does best on what was measured: the one that is hardest to beat."""
    return max(measured, key=lambda name: (measured[name]["f1"], measured[name]["pr_auc"]))


def nearest(row: NDArray[np.int32], others: Sequence[NDArray[np.int32]]) -> float:
    """Return the least Levenshtein distance of `row` to `others`, each as a share of the longer of the two.

    One step a line of `row` for all others at once; an insertion carries on along the columns, which is a running
    minimum once the column's number is taken off.
    """
    if not others:
        return 1.0
    sizes = np.array([len(other) for other in others])
    padded = np.full((len(others), sizes.max()), -1, np.int32)
    for position, other in enumerate(others):
        padded[position, : len(other)] = other
    columns = np.arange(padded.shape[1] + 1)
    last = np.broadcast_to(columns, (len(others), len(columns)))
    for number, line in enumerate(row, 1):
        step = np.empty_like(last)
        step[:, 0] = number
        step[:, 1:] = np.minimum(last[:, :-1] + (padded != line), last[:, 1:] + 1)
        last = np.minimum.accumulate(step - columns, axis=1) + columns
    apart = last[np.arange(len(others)), sizes]
    return float((apart / np.maximum(np.maximum(sizes, len(row)), 1)).min())


def _drawn(judged: Corpus, count: int) -> Corpus:
    chosen = np.zeros(len(judged.lengths), bool)
    chosen[np.random.default_rng(0).permutation(len(chosen))[:count]] = True
    return judged.only(chosen)


def _pairs(judged: Corpus) -> NDArray[np.int64]:
    """Return for each line the pair of the line before it and itself, as one number, [M]."""
    lines = judged.flat.astype(np.int64) + 1
    before = np.concatenate([[0], lines[:-1]])
    firsts = (np.cumsum(judged.lengths) - judged.lengths)[judged.lengths > 0]
    before[firsts] = 0  # the start
    return (before[: len(lines)] << 32) | lines


def _shares(flags: NDArray[np.bool_], owner: NDArray[np.int64], lengths: NDArray[np.int64]) -> Floats:
    found: Any = np.bincount(owner, flags, minlength=len(lengths)) / np.maximum(lengths, 1)
    return np.asarray(found, np.float64)
