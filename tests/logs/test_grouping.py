"""Sessions are whole, whether their lines fit into memory or not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duolog.plugins.types import BadRecord
from logs.engine import grouping, windows
from logs.engine.grouping import Line, by_key

LINES = st.lists(
    st.builds(
        Line, st.text(max_size=20), st.none() | st.sampled_from("abcdefgh中文"), st.none() | st.floats(0, 4e9),
        st.sampled_from([None, 0, 1]), st.sampled_from([None, "disk"]),
    ),
    max_size=60,
)  # fmt: skip


@given(LINES, st.integers(1, 2000))
def test_spilled_or_not_the_sessions_are_the_same(lines: list[Line], budget: int) -> None:
    here = {key: found for key, found, _ in by_key(lines)}
    spilled = list(by_key(lines, budget))
    assert {key: found for key, found, _ in spilled} == here
    assert len(spilled) == len(here)
    assert list(here) == list(dict.fromkeys(line.key for line in lines if line.key is not None))


def test_a_session_beyond_all_measure_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "SEQUENCE_CHARACTERS", 1000)
    lines = [Line("x" * 50, "all" if number % 10 else "some") for number in range(100)]
    monkeypatch.setattr(windows.grouping, "by_key", lambda lines: by_key(lines, 500))
    made = list(windows.by_session(lines))
    (refused,) = [one for one in made if isinstance(one, BadRecord)]
    assert refused.reason.startswith("session 'all' has 90 lines")
    assert [len(one.entries) for one in made if not isinstance(one, BadRecord)] == [10]
