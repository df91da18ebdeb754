"""The figures of an analyst, reckoned by hand."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.engine.figures import UNEXPLAINED, Judged, agreement, beside, measure
from duolog.plugins.types import Report


def said(kind: str, category: str = "网络", confidence: float = 1.0) -> Report:
    return Report(bool(kind), category if kind else "", kind, "high" if kind else "", confidence)


def one(true: str, report: Report | None, incident: str = "", category: str = "网络") -> Judged:
    return Judged(bool(true), true, category if true else "", report, incident)


def test_figures_of_verdicts() -> None:
    judged = [
        one("a", said("a")), one("a", said("b", "系统")), one("b", said("b")), one("b", None),
        one("", said("")), one("", said("a")),
        Judged(True, "", "", said("b")),  # anomalous, and nobody said of which type
    ]  # fmt: skip
    found = measure(judged)
    assert (found["sequences"], found["anomalous"], found["unexplained"]) == (7, 5, 1)
    assert found["type_accuracy"] == 2 / 4
    assert found["category_accuracy"] == 2 / 4
    # a: one hit, two there, two called so. b: one hit, two there, two called so among those whose type is known.
    assert found["macro_f1"] == pytest.approx((2 / 4 + 2 / 4) / 2)
    assert found["f1"] == pytest.approx(2 * 4 / (2 * 4 + 1 + 1))
    assert found["confusion"] == {"a": {"a": 1, "b": 1}, "b": {"b": 1, UNEXPLAINED: 1}, "": {"": 1, "a": 1}}
    assert found["ece"] == pytest.approx(1 - 4 / 6, abs=1e-4)  # sure of all, right in four of six


@pytest.mark.parametrize(("types", "share"), [(("a", "a"), 1.0), (("a", "b"), 0.0), (("", ""), 1.0)])
def test_both_languages_of_an_incident_get_the_same_type(types: tuple[str, str], share: float) -> None:
    pair = [one("a", said(kind), "i1") for kind in types]
    alone = [one("a", said("b"), "i2"), one("a", said("c"))]
    assert agreement([*pair, *alone]) == {"language_agreement": share, "pairs": 1}


def test_nothing_said_of_both_is_no_agreement() -> None:
    assert agreement([one("a", None, "i"), one("a", None, "i")])["language_agreement"] == 0


def test_what_there_is_nothing_to_measure_on_is_none() -> None:
    found: dict[str, Any] = measure([one("", said(""))])
    assert [found[name] for name in ("type_accuracy", "macro_f1", "f1", "language_agreement")] == [None] * 4
    assert beside(found, "rules", found)["floor_type_accuracy"] is None
