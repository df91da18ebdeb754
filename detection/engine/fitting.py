"""The small model fitted on many labels or on few: training, and the threshold where a validation part is too small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from detection.engine import calibrate, loop, metrics, scoring
from detection.engine.config import MoEOptions
from detection.engine.data import Causes, Lines, LogSequenceDataset
from detection.engine.device import device
from detection.engine.familiar import Familiar
from detection.engine.moe import EncoderWithMoE
from detection.engine.neighbours import USUAL
from detection.engine.tuning import Tuning
from detection.engine.vectors import Quiet
from duolog.plugins.types import Context, Vectors

ENOUGH = 10
"""Validation sequences of either label that it takes to choose a threshold by them alone."""
FEW = 400
"""Labels below which the threshold is cross-validated otherwise: so few are quickly learned several times."""
FOLDS = 4
SHARES = (1.0, 0.5, 0.25, 0.0)
"""How much of what few labels taught about lines may be added."""
CONTRADICTED = 0.02
"""Share of the labels that may contradict the labels-free detector where it is sure: of more, its word is worth little,
and those of which people told that it misses them would be outvoted by their likes that nobody labelled."""
TRUSTED = 0.5
"""Only labels of a greater confidence say what is usual, and choose a threshold: others are rather wrong."""
Labels = NDArray[np.int64]
Members = NDArray[np.int64]


@dataclass(frozen=True)
class Fitting:
    """What is learned from: N sequences, of which the first S have `labels` [S], as rows of `table` [R, D].

    `features` [N, 3] are those of `familiar`, out of fold; `causes` and `confidence` [S] are of the first S. `encoder`
    learns, too, if it is there.
    """

    options: MoEOptions
    lines: Sequence[Lines]
    labels: Labels
    causes: Sequence[Causes]
    confidence: NDArray[np.float64]
    features: NDArray[np.float32]
    familiar: Familiar | None
    table: Vectors
    encoder: Tuning | None = None

    def train(
        self, members: Members, validation: loop.Validation, ctx: Context, encoder: Tuning | None = None
    ) -> EncoderWithMoE:
        """Return a model that learned from these labelled `members`, and `encoder` with it."""
        model = loop.build(self.options, self.table.shape[1], self.options.seed)
        used = np.unique(np.concatenate(self.lines)[:, 0])
        model.standardise(torch.from_numpy(self.table[used]).to(device()))
        if self.familiar:
            model.familiarise(self.familiar.limit)
        lines = [self.lines[member] for member in members]
        causes = [self.causes[member] for member in members]
        data = LogSequenceDataset(
            lines,
            self.labels[members],
            self.options.window,
            self.features[members],
            causes,
            self.confidence[members],
        )
        loop.train(model, self.options, data, validation, self.table, ctx, encoder)
        return model

    def fit(self, validation: loop.Validation, ctx: Context) -> tuple[EncoderWithMoE, float]:
        """Return the model and the threshold of the best F1 on `validation`, and where that is too small on more.

        Then labelled sequences join it, judged by models that did not learn from them; and unlabelled ones where the
        labels-free detector is sure, with its word as label, so that not only what somebody cared to label decides.
        They also decide how much of what so few labels taught about lines is added to the labels-free distances.
        """
        everyone = np.arange(len(self.labels))
        model = self.train(everyone, validation, ctx, self.encoder)
        lines, truth, features = validation
        if self.encoder:  # takes too long to be learned several times
            table = self.encoder.fill(self.table, lines, self.encoder.parameters()) if len(lines) else self.table
            return model, calibrate.best_f1(truth, scoring.score(model, lines, table, ctx, features))
        told = [self._parts(model, lines, features, ctx)]
        if np.bincount(truth, minlength=2).min() >= ENOUGH or len(self.labels) >= FEW:
            return model, calibrate.best_f1(truth, expit(told[0].sum(1)))
        truths = [truth]
        for fold in folds(self.labels, self.options.seed):
            other = self.train(np.setdiff1d(everyone, fold), ([], truth[:0], features[:0]), Quiet(ctx))
            judged = fold[self.confidence[fold] > TRUSTED]
            truths.append(self.labels[judged])
            told.append(self._of(other, judged, ctx))
        sure, verdicts = self._sure()
        labels, parts = np.concatenate([*truths, verdicts]), np.concatenate([*told, self._of(model, sure, ctx)])
        share = SHARES[0]
        if self.familiar and len(truths) > 1 and len(labels):
            share = max(SHARES, key=lambda share: metrics.evaluate(labels, parts @ (share, 1), 0)["pr_auc"])
        with torch.no_grad():
            model.head.weight.mul_(share)
            model.head.bias.mul_(share)
        return model, calibrate.best_f1(labels, expit(parts @ (share, 1)))

    def _sure(self) -> tuple[Members, Labels]:
        """Return those without a label of which the labels-free detector is sure, and what it says."""
        if self.familiar is None:
            return np.arange(0), np.arange(0)
        surprises = self.features.sum(1)
        alarm, usual = surprises >= self.familiar.limit, surprises <= USUAL
        if self._contradicted(usual, 0):  # then there would be alarms only, and the threshold too low
            return np.arange(0), np.arange(0)
        sure = np.flatnonzero(usual if self._contradicted(alarm, 1) else alarm | usual)
        sure = sure[sure >= len(self.labels)]
        return sure, alarm[sure].astype(np.int64)

    def _contradicted(self, sure: NDArray[np.bool_], verdict: int) -> bool:
        """Tell whether labels say otherwise than this verdict on those of which the labels-free detector is sure."""
        told = self.labels[sure[: len(self.labels)] & (self.confidence > TRUSTED)]
        return bool(len(told)) and float((told != verdict).mean()) > CONTRADICTED

    def _of(self, model: EncoderWithMoE, members: Members, ctx: Context) -> NDArray[np.float64]:
        return self._parts(model, [self.lines[member] for member in members], self.features[members], ctx)

    def _parts(
        self, model: EncoderWithMoE, lines: Sequence[Lines], features: scoring.Features, ctx: Context
    ) -> NDArray[np.float64]:
        """Return the two logits [S, 2] that add up: of the lines, and of the distances."""
        return np.column_stack([scoring.logits(model, lines, self.table, ctx), scoring.familiar(model, features)])


def folds(labels: Labels, seed: int) -> list[Members]:
    """Return the members of each fold, both labels evenly spread; none where a label is there only once."""
    if np.bincount(labels, minlength=2).min() < 2:
        return []
    fold = np.empty(len(labels), np.int64)
    for label in (0, 1):
        members = np.random.default_rng(seed).permutation(np.flatnonzero(labels == label))
        fold[members] = np.arange(len(members)) % FOLDS
    return [np.flatnonzero(fold == number) for number in np.unique(fold)]
