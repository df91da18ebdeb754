"""Lines become sequences by number, by session or by time, and none is lost."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.engine import times, windows
from logs.engine.grouping import Line
from logs.formats.text import Options, Text

NOW = datetime(2026, 11, 23, 19, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("2026-11-23T19:00:00.123Z INFO up", "2026-11-23T19:00:00.123+00:00"),
        ("2026-11-23 19:00:00,5 INFO up", "2026-11-23T19:00:00.500+00:00"),
        ("2026-11-23T19:00:00+08:00 up", "2026-11-23T11:00:00+00:00"),
        ("2026-11-23 19:00:00.123 UTC [412] LOG:  x", "2026-11-23T19:00:00.123+00:00"),
        ("123:M 23 Nov 2026 19:00:00.123 * Ready", "2026-11-23T19:00:00.123+00:00"),
        ('1.2.3.4 - - [23/Nov/2026:19:00:00 -0530] "GET /"', "2026-11-24T00:30:00+00:00"),
        ("[Sun Dec 04 04:51:09 2005] [notice]", "2005-12-04T04:51:09+00:00"),
        ("17/06/09 20:10:41 INFO spark", "2017-06-09T20:10:41+00:00"),
        ("Jun 15 02:04:59 combo sshd", "2026-06-15T02:04:59+00:00"),
        ("Dec  5 02:04:59 combo sshd", "2025-12-05T02:04:59+00:00"),
        ("[gateway] 2026-01-05 08:00:01 收到请求", "2026-01-05T08:00:01+00:00"),
        ("\tat java.lang.Thread.run", None),
        ("2026-99-99 99:99:99 nonsense", None),
    ],
)
def test_times_of_common_prefixes(line: str, at: str | None) -> None:
    (found,) = times.parse([line], NOW)
    assert found == (None if at is None else pytest.approx(datetime.fromisoformat(at).timestamp(), abs=1e-3))


def test_a_line_in_another_style_does_not_disturb_its_neighbours() -> None:
    lines = ["2026-11-23T19:00:00Z", "nothing", "123:M 23 Nov 2026 19:00:00.000 * x"]
    first, none, last = times.parse(lines, NOW)
    assert (first, none) == (last, None)
    assert times.parse([]) == []


@given(st.integers(0, 60), st.integers(1, 12), st.integers(1, 12))
def test_windows_cover_every_line_that_the_stride_does_not_skip(count: int, size: int, stride: int) -> None:
    lines = [str(number) for number in range(count)]
    made = list(windows.by_count(map(Line, lines), size, stride))
    starts = [int(window.entries[0]) for window in made]
    assert starts == list(range(0, count, stride))[: len(starts)]
    assert all(list(window.entries) == lines[at : at + size] for window, at in zip(made, starts, strict=True))
    covered = {line for window in made for line in window.entries}
    assert covered == {line for number, line in enumerate(lines) if number % stride < size}
    assert len({window.id for window in made}) == len(made)


def test_a_session_is_the_first_group_or_the_whole_match() -> None:
    lines = b"open id=7\nopen id=8\nnoise\nclose id=7\n"

    def read(session: str) -> list[Any]:
        return list(Text(Options(session=session)).read(io.BufferedReader(io.BytesIO(lines))))

    stray, *made = read(r"id=(\d+)")
    assert {one.id: one.entries for one in made} == {"7": ("open id=7", "close id=7"), "8": ("open id=8",)}
    assert (stray.row, stray.reason) == (3, "1 entries belong to no session; this is the first")
    assert [one.id for one in read(r"id=\d+")[1:]] == ["id=7", "id=8"]


def test_time_windows_keep_stack_traces_with_their_line() -> None:
    lines = [
        "2026-11-23 19:00:01 a",
        "  at trace",
        "2026-11-23 19:00:59 b",
        "2026-11-23 19:02:00 c",
        "2026-11-23 19:01:59 late",
    ]
    made = list(windows.by_time(map(Line, lines), 60))
    assert [one.entries for one in made] == [tuple(lines[:3]), tuple(lines[3:])]
    assert all(len(one.times) == len(one.entries) for one in made)
    assert made[0].times[1] == made[0].times[0]


@pytest.mark.parametrize("make", [lambda: windows.by_count([], 0), lambda: windows.by_time([], 0)])
def test_an_empty_window_is_refused(make: object) -> None:
    with pytest.raises(ValueError):
        list(make())  # type: ignore[operator]
