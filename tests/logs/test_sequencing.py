"""Which sequence a line belongs to, as chunks of lines come in."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.engine import sequencing
from logs.engine.chunks import Lines, pack, unpack
from logs.engine.sequencing import Head, Heads, Rule


def lines(*rows: tuple[float, str], service: str = "shop") -> Lines:
    """Lines at times, with the trace id that each has, or none."""
    attributes = [f'{{"trace_id":"{key}"}}' if key else "" for _, key in rows]
    count = len(rows)
    texts = [f"line {number}" for number in range(count)]
    return Lines(texts, [at for at, _ in rows], [service] * count, [""] * count, attributes, [0] * count)


class Stream:
    """What the sequencer does with its tables, in memory: open sequences, and those that are over, in order."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.watermark = 0.0
        self.open: dict[tuple[str, int, int], tuple[Head, list[int]]] = {}
        self.closed: list[tuple[str, list[int]]] = []
        self.seen = 0

    def feed(self, chunk: Lines) -> None:
        heads: Heads = {}
        for (key, *_), (head, _) in sorted(self.open.items(), key=lambda each: each[0]):
            heads.setdefault(key, []).append(head)
        keys = sequencing.keys(self.rule, chunk)
        pieces, self.watermark = sequencing.assign(
            self.rule, chunk, keys, chunk.times, self.seen, self.watermark, heads
        )
        for piece in pieces:
            name = piece.key, piece.head.first, piece.head.window
            _, members = self.open.get(name, (piece.head, []))
            self.open[name] = piece.head, members + [self.seen + place for place in piece.members]
        self.seen += len(chunk)
        for name, (head, members) in list(self.open.items()):
            if head.close <= self.watermark:
                self.closed.append((name[0], members))
                del self.open[name]

    def all(self) -> list[tuple[str, list[int]]]:
        return self.closed + [(key, members) for (key, *_), (_, members) in self.open.items()]


def test_a_session_ends_when_its_key_was_silent() -> None:
    stream = Stream(Rule(seconds=10, lateness=2))
    stream.feed(lines((0, "a"), (1, "b"), (5, "a"), (6, "b")))
    assert stream.closed == []
    stream.feed(lines((17, "b")))  # a: silent for 12 seconds; b: for 11
    assert stream.closed == [("a", [0, 2])]
    stream.feed(lines((18, "a")))
    assert stream.all() == [("a", [0, 2]), ("b", [1, 3, 4]), ("a", [5])]


def test_lines_that_are_a_little_late_join_their_window() -> None:
    stream = Stream(Rule(by="time", key="service", seconds=10, lateness=2))
    stream.feed(lines((1, ""), (11, ""), (9, "")))
    assert stream.closed == []
    stream.feed(lines((12.5, "")))
    assert stream.closed == [("shop", [0, 2])]


def test_what_is_later_than_allowed_changes_nothing_that_is_closed() -> None:
    stream = Stream(Rule(by="time", key="", seconds=10, lateness=2))
    stream.feed(lines((1, ""), (15, "")))
    assert stream.closed == [("", [0])]
    stream.feed(lines((3, ""), (4, "")))
    assert stream.closed == [("", [0])]
    stream.feed(lines((26, "")))  # the late ones waited for others as late
    assert stream.closed == [("", [0]), ("", [1]), ("", [2, 3])]


def test_a_shipper_that_lags_does_not_end_its_own_sessions() -> None:
    stream = Stream(Rule(seconds=10, lateness=2))
    stream.feed(lines((100, "live"), (40, "lags"), (101, "live"), (41, "lags")))
    stream.feed(lines((42, "lags"), (102, "live")))
    assert stream.closed == []
    assert stream.all() == [("live", [0, 2, 5]), ("lags", [1, 3, 4])]


def test_windows_by_number_may_overlap() -> None:
    stream = Stream(Rule(by="count", key="", size=4, stride=2))
    stream.feed(lines(*[(n, "") for n in range(5)]))
    stream.feed(lines(*[(n, "") for n in range(5, 9)]))
    assert stream.closed == [("", [0, 1, 2, 3]), ("", [2, 3, 4, 5]), ("", [4, 5, 6, 7])]
    assert [members for _, members in stream.all()[3:]] == [[6, 7, 8], [8]]


def test_windows_of_time_may_overlap() -> None:
    stream = Stream(Rule(by="time", key="", seconds=10, stride=5, lateness=0))
    stream.feed(lines((1, ""), (6, ""), (11, ""), (30, "")))
    assert [members for _, members in stream.closed] == [[0], [0, 1], [1, 2], [2]]


def test_lines_without_a_key_go_by_service() -> None:
    stream = Stream(Rule(seconds=10))
    stream.feed(lines((1, "a"), (2, ""), (3, "")))
    assert stream.all() == [("a", [0]), ("service shop", [1, 2])]


@pytest.mark.parametrize("by", ["session", "gap", "time"])
def test_a_sequence_that_is_full_is_closed_at_once(by: Literal["session", "gap", "time"]) -> None:
    stream = Stream(Rule(by=by, most=3))
    stream.feed(lines(*[(1, "a")] * 7))
    assert [members for _, members in stream.closed] == [[0, 1, 2], [3, 4, 5]]
    assert [members for _, members in stream.all()] == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("request_id, trace_id", ["r1", "t2"]),
        ("level", ["info", ""]),
        (r"(blk_-?\d+)", ["blk_-5", ""]),
    ],
)
def test_a_key_is_an_attribute_a_column_or_a_part_of_the_text(key: str, found: list[str]) -> None:
    chunk = Lines(
        ["got blk_-5 from", "无"], [1.0, 2.0], ["s", "s"], ["info", ""],
        ['{"request_id":"r1","trace_id":"t1"}', '{"trace_id":"t2"}'], [0, 0],
    )  # fmt: skip
    assert sequencing.keys(Rule(key=key), chunk) == found


@pytest.mark.parametrize(
    "wrong",
    [{"by": "day"}, {"seconds": 0}, {"key": ""}, {"key": "(a"}, {"key": "(a)(b)"}, {"by": "time", "stride": 20}],
)
def test_a_rule_that_makes_no_sense_says_so(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"by is|positive|session|regular|group|stride"):
        Rule(**wrong)  # type: ignore[arg-type]


def test_a_clock_that_is_ahead_does_not_close_everything() -> None:
    assert sequencing.moments(lines((5, ""), (1e9, "")), received=10.0) == [5, 10.0]


@given(
    st.sampled_from(["session", "gap", "time", "count"]),
    st.lists(st.tuples(st.floats(0, 200), st.sampled_from(["", "a", "b"])), max_size=60),
    st.lists(st.integers(1, 20), min_size=1, max_size=10),
    st.integers(2, 50),
)
def test_every_line_is_in_one_sequence_however_it_comes(
    by: str, rows: list[tuple[float, str]], cuts: list[int], most: int
) -> None:
    stream = Stream(Rule(by=by, key="trace_id", seconds=7, size=5, lateness=3, most=most))  # type: ignore[arg-type]
    at = 0
    while at < len(rows):
        size = cuts[at % len(cuts)]
        stream.feed(lines(*rows[at : at + size]))
        at += size
    assert sorted(number for _, members in stream.all() for number in members) == list(range(len(rows)))
    assert all(members and len(members) <= max(most, 1) for _, members in stream.all())
    assert all(head.close > stream.watermark for head, _ in stream.open.values())


@given(st.lists(st.tuples(st.text(), st.floats(-1e9, 4e9), st.text(max_size=5), st.integers(-(2**63), 2**63 - 1))))
def test_packed_lines_come_back(rows: list[tuple[str, float, str, int]]) -> None:
    texts, times, services, templates = (list(column) for column in zip(*rows, strict=True)) if rows else ([],) * 4
    given_ = Lines(texts, times, services, [""] * len(rows), [""] * len(rows), templates)
    back = unpack(pack(given_))
    assert (back.texts, back.services, back.templates) == (texts, services, templates)
    assert back.times == pytest.approx(times, abs=1e-6)
    assert len(back) == len(rows)
