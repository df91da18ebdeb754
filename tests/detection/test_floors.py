"""Trivial rivals: each finds what it is made for, needs no more than it says, and comes back as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detection.engine.floors import FLOORS, LABELLED, Floors, best, nearest
from duolog.plugins.types import LogSequence

USUAL = ("INFO start <*>", "INFO 读取 5 行", "INFO read 7 rows", "INFO done")


def normal(count: int) -> list[LogSequence]:
    return [LogSequence(f"n{n}", USUAL[: 2 + n % 3], 0) for n in range(count)]


ODD = {
    "new-line": ("INFO start 3", "INFO 读取 6 行", "INFO disk is full"),
    "length": USUAL[:1] * 30,
    "counts": (USUAL[0], *USUAL[1:2] * 9),
    "n-gram": (USUAL[1], USUAL[0]),
    "edit": USUAL[::-1],
    "keyword": (USUAL[0], "WARN 连接超时"),
}


@pytest.mark.parametrize("name", FLOORS)
def test_each_finds_what_it_is_made_for_without_labels(name: str) -> None:
    floors = Floors.fit([replace(one, label=None) for one in normal(60)], [], labels=False)
    assert floors.names == list(FLOORS)
    column = floors.names.index(name)
    usual, odd = floors.scores([*normal(3), LogSequence("x", ODD[name])])[[1, 3], column]
    assert usual < floors.thresholds[name] <= odd


def test_those_that_need_labels_learn_from_them(shop) -> None:
    train, validation, test = shop(300, 1), shop(80, 2), shop(200, 3)
    floors = Floors.fit(train, validation, labels=True)
    assert floors.names == [*FLOORS, *LABELLED]
    measured = floors.measure([one.label for one in test], floors.scores(test))
    assert measured["tfidf"]["f1"] > 0.95
    assert measured["tree"]["f1"] > 0.95
    assert measured[best(measured)]["f1"] == max(figures["f1"] for figures in measured.values())
    assert Floors.fit(train, validation, labels=False).names == list(FLOORS)


def test_scores_do_not_depend_on_what_is_scored_with_them(shop) -> None:
    floors, test = Floors.fit(shop(200, 1), shop(50, 2), labels=True), shop(40, 3)
    test += [LogSequence("new", ("INFO one new line", *USUAL)), LogSequence("empty", ())]
    alone = np.concatenate([floors.scores([one]) for one in test])
    np.testing.assert_allclose(floors.scores(test), alone, atol=1e-9)


def test_saved_floors_score_the_same(shop, tmp_path) -> None:
    floors, test = Floors.fit(shop(200, 1), shop(50, 2), labels=True), shop(40, 3)
    assert Floors.load(tmp_path) is None
    floors.save(tmp_path)
    loaded = Floors.load(tmp_path)
    assert loaded is not None
    assert loaded.thresholds == floors.thresholds
    np.testing.assert_array_equal(loaded.scores(test), floors.scores(test))


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("same", "same", 0), ("flaw", "lawn", 2)],
)
def test_edit_distance_is_levenshteins(one: str, other: str, distance: int) -> None:
    codes = [np.array([ord(letter) for letter in word], np.int32) for word in (one, other)]
    assert nearest(codes[0], [codes[1]]) == pytest.approx(distance / max(len(one), len(other)))


def test_lines_without_a_word_and_sequences_of_one_label_are_no_reason_to_fail() -> None:
    same = [LogSequence(str(n), ("---", "***"), n % 2) for n in range(20)]
    assert np.isfinite(Floors.fit(same, same, labels=True).scores(same)).all()
    bad = [replace(one, label=1) for one in same]
    assert Floors.fit(bad, [], labels=True).names == list(FLOORS)
