"""What tells synthetic and real sequences apart, and which option is worth trying."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from duolog.plugins.types import LogSequence
from training.engine import gap
from training.generators.microservices import Microservices, Options

COUNT = 300


def shop(seed: int, **options: Any) -> list[LogSequence]:
    return list(Microservices(Options(**{"language": "en", **options})).generate(COUNT, seed))


def compare(synthetic: Sequence[LogSequence], real: Sequence[LogSequence], *groups: str) -> dict[str, float | None]:
    """Tell them apart by some groups, or by all of them, with words that are all alike."""
    at = [gap.moments(side) for side in (synthetic, real)]
    whole = any(map(gap.in_whole_seconds, at))
    ours, theirs = (gap.features(*side, whole_seconds=whole) for side in zip((synthetic, real), at, strict=True))
    if groups:
        return {name: gap.auc(ours[name], theirs[name]) for name in groups}
    words = np.random.default_rng(0).normal(size=(2, COUNT, 3))
    return gap.compare(ours | {"wording": words[0]}, theirs | {"wording": words[1]})


def test_two_samples_of_one_source_cannot_be_told_apart() -> None:
    found = compare(shop(1), shop(2))
    assert found.keys() == {"all", *gap.GROUPS}
    assert all(value is not None and value < gap.limit(COUNT, COUNT) for value in found.values()), found


def test_what_differs_is_what_gives_it_away() -> None:
    long = shop(2, min_lines=24, max_lines=30)
    found = compare(shop(1), long, "lengths", "language")
    assert found["lengths"] > 0.95
    assert found["language"] < 0.6
    (wanted,) = gap.candidates(long)["lengths"]
    assert 24 <= wanted["min_lines"] <= wanted["max_lines"] <= 30
    closer = shop(3, **wanted)
    assert compare(closer, long, "lengths")["lengths"] < 0.7


@pytest.mark.parametrize(
    ("options", "group", "suggested"),
    [
        ({"language": "zh"}, "language", {"language": "zh"}),
        ({"anomaly_share": 0.0}, "labels", {"anomaly_share": 0.0}),
    ],
)
def test_an_option_takes_the_value_of_the_real_ones(
    options: dict[str, Any], group: str, suggested: dict[str, Any]
) -> None:
    real = shop(2, **options)
    assert compare(shop(1), real, group)[group] >= gap.limit(COUNT, COUNT)
    assert suggested in gap.candidates(real)[group]


def test_what_half_of_one_side_does_not_tell_is_not_compared() -> None:
    bare = [
        dataclasses.replace(one, entries=("block received", "block sent"), times=(), label=None, meta={})
        for one in shop(2)
    ]
    mostly = [*bare[:180], *shop(2)[180:]]
    found = compare(shop(1), mostly, *(name for name in gap.GROUPS if name != "wording"))
    assert {name for name, value in found.items() if value is None} == {"levels", "gaps", "services", "labels"}
    assert not gap.candidates(bare)["labels"]


def test_repetition_is_that_of_masked_lines() -> None:
    lines = ("took 5 ms", "took 17 ms", "done", "took 9 ms")
    row = gap.features([LogSequence("a", lines)], [np.array([])], whole_seconds=False)["repetition"]
    assert row.tolist() == [[0.5, 0.75]]


def test_times_that_lost_their_fraction_are_compared_in_whole_seconds() -> None:
    def cut(one: LogSequence) -> LogSequence:
        return dataclasses.replace(one, times=tuple(map(math.floor, one.times)))

    found = compare(shop(1), list(map(cut, shop(2))), "gaps")
    assert found["gaps"] < gap.limit(COUNT, COUNT)


def test_times_are_read_from_lines_where_none_came_along() -> None:
    (one,) = gap.moments([LogSequence("a", ("081109 203518 143 INFO x", "081109 203520 35 INFO y"))])
    assert one[1] - one[0] == 2


def test_levels_in_their_many_spellings() -> None:
    lines = ('{"ts":"1","level":"error"}', "time=1 level=warn", "a [INFO] b", "2026 WARNING worker", "E nothing said")
    row = gap.features([LogSequence("a", lines)], [np.array([])], whole_seconds=False)["levels"]
    assert row.tolist() == [[0, 0.25, 0.5, 0.25]]


def test_coverage_counts_equal_lines_and_near_ones() -> None:
    table = np.array([[1, 0, 0], [0, 1, 0], [0.98, 0.1, 0], [0, 0, 1]], np.float32)
    real = [np.array([0, 0, 0]), np.array([2, 3])]
    assert gap.coverage([np.array([0, 1])], real, table) == {
        "lines": 3,
        "equal": pytest.approx(1 / 3),
        "alike": pytest.approx(2 / 3),
        "equal_mentions": pytest.approx(3 / 5),
        "alike_mentions": pytest.approx(4 / 5),
    }


def test_wording_is_told_by_the_line_vectors() -> None:
    table = np.eye(8, dtype=np.float32)
    random = np.random.default_rng(0)
    sides = [[random.integers(low, low + 5, 9) for _ in range(COUNT)] for low in (0, 3)]
    assert gap.auc(*gap.wording(*sides, table)) > 0.95
    assert gap.auc(*gap.wording(sides[0][:150], sides[0][150:], table)) < gap.limit(150, 150)
