"""Drift: no alarm by chance, one where scores or templates move."""

from __future__ import annotations

import numpy as np
import pytest

from detection.engine import drift
from duolog.plugins.types import LogSequence


def tally(scores: list[float], lines: list[list[str]]) -> drift.Tally:
    found = drift.Tally(scores)
    found.add([LogSequence(f"s{number}", tuple(each)) for number, each in enumerate(lines)])
    return found


def test_psi_is_that_of_the_textbook() -> None:
    assert drift.psi([0.5, 0.5], [0.5, 0.5]) == 0
    expected = (0.4 - 0.5) * np.log(0.4 / 0.5) + (0.6 - 0.5) * np.log(0.6 / 0.5)
    assert drift.psi([0.5, 0.5], [0.4, 0.6]) == pytest.approx(expected)


@pytest.mark.parametrize("count", [30, 300])
def test_small_samples_of_the_same_raise_no_alarm(count: int) -> None:
    chance = np.random.default_rng(0)
    levels = [
        drift.compare(drift.Reference.of(drift.Tally(list(chance.random(count)))), chance.random(50), drift.Tally())
        for _ in range(100)
    ]
    assert sum(found["level"] != "none" for found in levels) <= 1


def test_moved_scores_and_new_templates_are_told_apart() -> None:
    chance = np.random.default_rng(1)
    usual = [["start <*>", "read 5 rows", "done"]] * 200
    reference = drift.Reference.of(tally(list(chance.beta(1, 9, 200)), usual))
    kept = drift.Reference(**reference.as_json())  # as a version stores it
    moved = drift.compare(kept, chance.beta(3, 3, 200), tally([], usual))
    assert (moved["score"]["level"], moved["template"]["level"], moved["level"]) == ("strong", "none", "strong")
    new = drift.compare(kept, chance.beta(1, 9, 200), tally([], [["数据库 连接 失败", "done"]] * 200))
    assert (new["score"]["level"], new["template"]["level"]) == ("none", "strong")


def test_scores_that_are_all_alike_are_a_distribution_too() -> None:
    reference = drift.Reference.of(drift.Tally([0.0] * 100))
    assert drift.compare(reference, np.zeros(100), drift.Tally())["level"] == "none"
    assert drift.compare(reference, np.full(100, 1e-7), drift.Tally())["level"] == "none"
    assert drift.compare(reference, np.full(100, 0.9), drift.Tally())["level"] == "strong"
