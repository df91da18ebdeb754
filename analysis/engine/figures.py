"""How well an analyst does: its verdicts beside labels, and its reports beside the lines that they are about."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duolog.plugins.types import Report

UNEXPLAINED = "?"
"""What stands for the verdict on a case of which an analyst could say nothing; it is right about none."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What labels say of a sequence ("": normal, or nobody said), and the analyst's report, or None.

    Sequences of one `incident` tell the same story in other languages.
    """

    anomalous: bool
    type: str
    category: str
    report: Report | None
    incident: str = ""

    @property
    def said(self) -> str:
        """The type that the analyst named."""
        return self.report.type if self.report else UNEXPLAINED

    @property
    def right(self) -> bool:
        """Whether the verdict is that of the label, type included where the label has one."""
        if self.report is None or self.report.anomalous != self.anomalous:
            return False
        return not self.anomalous or self.type in ("", self.said)


def measure(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return the figures of verdicts; None where there is nothing to measure one on.

    `type_accuracy` and `category_accuracy` are over the anomalous sequences whose type or category is known, `macro_f1`
    over their types (a normal sequence that is given a type counts against it), `f1` is of anomalous or not, `ece` the
    calibration error of the confidence. `confusion` counts by type, then by the type that was said, "" being normal.
    """
    from detection.engine.curves import calibration_error  # reads scikit-learn

    typed = [one for one in judged if one.anomalous and one.type]
    placed = [one for one in judged if one.anomalous and one.category]
    confusion: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in judged:
        if one.type or not one.anomalous:
            confusion[one.type][one.said] += 1
    explained = [one for one in judged if one.report]
    return {
        "sequences": len(judged),
        "anomalous": sum(one.anomalous for one in judged),
        "unexplained": len(judged) - len(explained),
        "type_accuracy": _share(one.said == one.type for one in typed),
        "macro_f1": _macro_f1(confusion),
        "category_accuracy": _share(bool(one.report) and one.report.category == one.category for one in placed),
        "f1": _f1(judged),
        "ece": calibration_error([one.right for one in explained], [one.report.confidence for one in explained])
        if explained
        else None,
        "confusion": {true: dict(said) for true, said in confusion.items()},
        **agreement(judged),
    }


def agreement(judged: Iterable[Judged]) -> dict[str, Any]:
    """Return the share of incidents told in several languages that got the same type in all, and how many there are."""
    said: defaultdict[str, list[str]] = defaultdict(list)
    for one in judged:
        if one.incident:
            said[one.incident].append(one.said)
    pairs = [types for types in said.values() if len(types) > 1]
    same = _share(len(set(types)) == 1 and UNEXPLAINED not in types for types in pairs)
    return {"language_agreement": same, "pairs": len(pairs)}


def beside(figures: Mapping[str, Any], floor: str, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures with those that the floor reaches on the same sequences, as `floor_…`."""
    compared = ("type_accuracy", "macro_f1", "category_accuracy", "f1", "ece", "language_agreement")
    return {**figures, "floor": floor, **{f"floor_{name}": measured[name] for name in compared}}


def _share(truths: Iterable[bool]) -> float | None:
    found = list(truths)
    return sum(found) / len(found) if found else None


def _f1(judged: Sequence[Judged]) -> float | None:
    called = [(one.anomalous, one.report.anomalous if one.report else None) for one in judged]
    hits = sum(true and said is True for true, said in called)
    # A case without a report is a miss if it is anomalous, and nothing else.
    wrong = sum(said is True and not true for true, said in called) + sum(true and not said for true, said in called)
    return 2 * hits / (2 * hits + wrong) if hits + wrong else None


def _macro_f1(confusion: Mapping[str, Mapping[str, int]]) -> float | None:
    types = [kind for kind in confusion if kind]
    found = []
    for kind in types:
        hits = confusion[kind].get(kind, 0)
        there = sum(confusion[kind].values())
        called = sum(said.get(kind, 0) for said in confusion.values())
        found.append(2 * hits / (there + called))
    return sum(found) / len(found) if found else None
