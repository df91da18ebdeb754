"""Disturbed sequences: as much as asked for, of the kind asked for, and the same every time."""

from __future__ import annotations

from collections import Counter

import pytest

from duolog.plugins.types import LogSequence
from training.engine.instability import LEVELS, disturb, edit, twins

LINES = tuple(f"INFO request number {n} was handed over to worker {n}" for n in range(2000))
LONG = LogSequence("s", LINES, 1, times=tuple(map(float, range(2000))))
OTHER = LogSequence("t", tuple(f"第 {n} 行" for n in range(2000)), 1)


@pytest.mark.parametrize("kind", ["edited", "dropped", "duplicated", "reworded", "swapped"])
@pytest.mark.parametrize("share", LEVELS)
def test_about_the_share_of_lines_is_disturbed_and_times_follow(kind: str, share: float) -> None:
    made = disturb(LONG, kind, share, 1, OTHER)
    assert (made.id, made.label) == ("s", 1)
    assert len(made.times) == len(made.entries)
    before, after = Counter(LINES), Counter(made.entries)
    touched = {
        "edited": (before - after).total(),
        "dropped": (before - after).total(),
        "duplicated": (after - before).total(),
        "reworded": (before - after).total(),
        "swapped": sum(one != other for one, other in zip(LINES, made.entries, strict=False)) / 2,
    }[kind]
    assert touched == pytest.approx(share * 2000, rel=0.35)
    if kind in ("swapped", "duplicated"):
        assert set(after) == set(before)
    if kind in ("dropped", "swapped"):
        assert all(LINES[int(at)] == line for at, line in zip(made.times, made.entries, strict=True))
    assert made == disturb(LONG, kind, share, 1, OTHER)
    assert made != disturb(LONG, kind, share, 2, OTHER)


def test_more_disturbance_touches_the_same_lines_and_others() -> None:
    few, many = (set(disturb(LONG, "dropped", share, 1).entries) for share in (0.1, 0.3))
    assert many < few


def test_the_last_line_of_a_sequence_stays() -> None:
    assert disturb(LogSequence("x", ("a b", "c d")), "dropped", 1.0, 0).entries == ("a b",)
    assert disturb(LogSequence("e", ()), "dropped", 0.3, 0).entries == ()


def test_all_lines_of_one_statement_change_alike() -> None:
    made = {edit(line).replace(str(n), "#") for n, line in enumerate(LINES[10:99], 10)}
    assert len(made) == 1
    assert made != {"INFO request number # was handed over to worker #"}


@pytest.mark.parametrize("line", ["", "42", "---", "时间=2026-01-01", "ok"])
def test_a_line_with_nothing_to_change_stays(line: str) -> None:
    assert edit(line) == line


def test_twins_tell_the_same_incident_in_as_many_lines() -> None:
    rows = [
        LogSequence("a_zh", ("一", "二"), meta={"incident": "a"}),
        LogSequence("a_en", ("one", "two"), meta={"incident": "a"}),
        LogSequence("b_zh", ("一",), meta={"incident": "b"}),
        LogSequence("b_en", ("one", "two"), meta={"incident": "b"}),
        LogSequence("c", ("x",)),
        LogSequence("d", ("x",)),
    ]
    assert {name: twin.id for name, twin in twins(rows).items()} == {"a_zh": "a_en", "a_en": "a_zh"}
