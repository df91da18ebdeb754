"""What the local model reads of a sequence, and what becomes of the lines that its text cites."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.engine.compact import ENDS, LINES, cite, compact, quote
from duolog.plugins.types import LogSequence
from training.generators.incidents import Incidents, Options

LINE = "2026-02-18 16:50:34,488 WARN [order-service,383868a97b7943e7] --- [exec-6] retry {} after_ms=250"


def sequence(*entries: str, times: tuple[float, ...] = ()) -> LogSequence:
    return LogSequence("one", entries, times=times)


def test_a_line_is_its_number_service_level_and_statement() -> None:
    read = compact(sequence(LINE.format("10.0.0.7:3306"), LINE.format("10.0.0.8:3306"), "plain words"))
    assert read.text == "1 order-service W retry *\n2 W retry *\n3 - plain words"


def test_waits_are_told_from_a_second_on() -> None:
    read = compact(sequence("a", "b", "c", times=(100.0, 100.9, 103.4)))
    assert read.text == "1 a\n2 b\n3 +2500 c"


def test_values_are_not_read_and_are_quoted_all_the_same() -> None:
    read = compact(sequence(LINE.format("sk-live-9f8e7d6c5b4a3f2e1d0c")))
    assert "9f8e7d6c" not in read.text
    assert read.quotes[0] == "retry sk-live-9f8e7d6c5b4a3f2e1d0c"


@given(st.lists(st.text(max_size=60), min_size=1, max_size=8))
def test_a_quote_stands_in_its_line(entries: list[str]) -> None:
    read = compact(sequence(*entries))
    assert read.quotes.keys() == set(range(len(entries)))
    assert all(words in entries[line] for line, words in read.quotes.items())
    assert len(read.text.split("\n")) == len(entries)


def test_of_a_long_sequence_the_ends_and_the_blamed_lines_are_read_and_the_gaps_are_told() -> None:
    count = 10_000
    blame = [0.0] * count
    blame[5_000] = 0.9
    read = compact(sequence(*(f"step {number} done" for number in range(count))), blame)
    assert len(read.quotes) == LINES
    assert {0, ENDS - 1, 5_000, count - ENDS, count - 1} <= read.quotes.keys()
    assert sum(int(line[2:]) for line in read.text.split("\n") if line.startswith("… ")) == count - LINES


@pytest.mark.parametrize("language", ["zh", "en", "mixed"])
def test_what_an_answer_quotes_becomes_a_citation_and_comes_back(language: str) -> None:
    for one in Incidents(Options(language=language)).generate(40, seed=7):  # type: ignore[arg-type]
        told = one.meta["analysis"]
        cited = cite(told["explanation"], one)
        assert "“" not in cited
        text, lines = quote(cited, compact(one).quotes, told["language"])
        assert text.count("“") == told["explanation"].count("“")
        assert bool(lines) == ("“" in text)


def test_a_citation_of_a_line_that_is_not_there_leaves_nothing() -> None:
    assert quote("see [1] and [9]", {0: "disk full"}, "en") == ("see “disk full” and ", [0])
