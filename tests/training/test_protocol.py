"""Figures of a scorecard: early alarms, false ones, and the spread over trials."""

from __future__ import annotations

import numpy as np
import pytest

from duolog.plugins.types import LogSequence
from training.engine import protocol


def holds_error(sequences: list[LogSequence]) -> np.ndarray:
    return np.array([float("error" in sequence.entries) for sequence in sequences])


def grown(lines: int, at: int) -> LogSequence:
    entries = ["ok"] * lines
    entries[at - 1] = "error"
    return LogSequence("s", tuple(entries), 1, times=tuple(map(float, range(lines))))


def test_the_alarm_fires_at_the_line_that_tells() -> None:
    quiet = LogSequence("q", ("ok",) * 4, 1)
    found = protocol.time_to_detect(holds_error, [grown(10, 3), grown(4, 2), grown(8, 8), quiet], 0.5)
    assert found["detect_line"] == 3
    assert found["detect_share"] == pytest.approx((0.3 + 0.5 + 1) / 3)
    assert found["detect_of"] == 0.75


def test_what_never_fires_has_no_line() -> None:
    assert protocol.time_to_detect(holds_error, [LogSequence("q", ("ok",), 1)], 0.5) == {"detect_of": 0}
    assert protocol.time_to_detect(holds_error, [], 0.5) == {"detect_of": 0}


def test_a_long_sequence_is_judged_at_a_bounded_number_of_places_to_its_end() -> None:
    seen: list[int] = []

    def rate(sequences: list[LogSequence]) -> np.ndarray:
        seen.extend(len(sequence.entries) for sequence in sequences)
        return holds_error(sequences)

    found = protocol.time_to_detect(rate, [grown(10_000, 9_999)], 0.5)
    assert found["detect_line"] == 10_000 == max(seen)
    assert len(seen) == protocol.PREFIXES


def test_false_alarms_are_counted_per_thousand_normal_sequences() -> None:
    assert protocol.false_alarms([0, 0, 0, 0, 1], [0.5, 0.1, 0.2, 0.3, 0.9], 0.5) == 250
    assert protocol.false_alarms([1], [0.9], 0.5) == 0


def test_a_summary_has_mean_deviation_and_the_hardest_floor() -> None:
    def trial(f1: float, tree: float, length: float, **more: float) -> dict[str, object]:
        floors = {name: {"f1": value, "pr_auc": value} for name, value in (("tree", tree), ("length", length))}
        return {"f1": f1, **more, "floors": floors}

    found = protocol.summary([trial(0.8, 0.6, 0.75, detect_line=2.0), trial(0.9, 0.8, 0.75)])
    assert found["f1"] == pytest.approx({"mean": 0.85, "sd": 0.0707106781})
    assert found["detect_line"] == {"mean": 2, "sd": 0}  # in the other trial nothing fired
    assert found["floor"] == "length"
    assert found["over_floor"] == pytest.approx(0.1)
    assert found["trials"] == 2
