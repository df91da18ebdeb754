"""Plugins that misbehave in ways the host must survive and name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from duolog.plugins.points import Detector, Generator, Needs
from duolog.plugins.types import Evidence, LogSequence
from duolog_dummy.analysts import Echo
from duolog_dummy.good import Length


class ScoresNan(Length):
    def score(self, sequences, vectors, ctx):
        return np.full(len(sequences), np.nan)


class ScoresTooFew(Length):
    def score(self, sequences, vectors, ctx):
        return np.zeros(len(sequences) - 1)


class NotADetector:
    api = 1


class FromTheFuture(Length):
    api = 99


class HalfDone(Detector):
    def save(self, folder):
        pass


class NeedsGpu(Length):
    needs = Needs(gpu=True)


class NeedsPackage(Length):
    needs = Needs(packages=("no_such_package",))


class TooFew(Generator):
    def generate(self, count, seed):
        for number in range(count - 1):
            yield LogSequence(str(number), ("line",), 0)


class ReportsTooFew(Echo):
    def explain(self, cases, languages, ctx, draft):
        return super().explain(cases, languages, ctx, draft)[1:]


class CitesWhatIsNotThere(Echo):
    def explain(self, cases, languages, ctx, draft):
        reports = super().explain(cases, languages, ctx, draft)
        ends = [len(case.sequence.entries) for case in cases]
        return [replace(one, evidence=(Evidence(end, ""),)) for one, end in zip(reports, ends, strict=True)]


class IsNanSure(Echo):
    def explain(self, cases, languages, ctx, draft):
        return [replace(one, confidence=float("nan")) for one in super().explain(cases, languages, ctx, draft)]
