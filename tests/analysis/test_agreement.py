"""Coefficients of agreement: the numbers of published libraries, and what must hold of any answers."""

from __future__ import annotations

from typing import Any

import krippendorff as published
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats import inter_rater

from analysis.engine import agreement

RANDOM = np.random.default_rng(7)


def answers(items: int, raters: int, classes: int, right: float, missing: float = 0.0) -> np.ndarray:
    """Answers [raters, items], -1 where somebody gave none; each is that of the truth with a probability `right`."""
    truth = RANDOM.integers(classes, size=items)
    given = np.where(RANDOM.random((raters, items)) < right, truth, RANDOM.integers(classes, size=(raters, items)))
    given[RANDOM.random(given.shape) < missing] = -1
    return given


def counts(given: np.ndarray, classes: int) -> np.ndarray:
    return np.stack([(given == each).sum(0) for each in range(classes)], axis=1)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("right", [0.0, 0.6, 0.95])
def test_kappa_is_that_of_statsmodels(classes: int, right: float) -> None:
    given = answers(120, 3, classes, right)
    table = inter_rater.to_table(given[:2].T, bins=classes)[0]
    found = agreement.cohen(given[0], given[1])
    assert found.value == pytest.approx(inter_rater.cohens_kappa(table, return_results=False))
    found = agreement.fleiss(counts(given, classes))
    assert found.value == pytest.approx(inter_rater.fleiss_kappa(counts(given, classes)))


@pytest.mark.parametrize("missing", [0.0, 0.4, 0.7])
@pytest.mark.parametrize("right", [0.0, 0.6, 0.95])
def test_alpha_is_that_of_the_krippendorff_package(missing: float, right: float) -> None:
    given = answers(90, 4, 3, right, missing)
    expected = published.alpha(np.where(given < 0, np.nan, given), level_of_measurement="nominal")
    found = agreement.krippendorff(counts(given, 3))
    assert found.value == pytest.approx(expected)
    assert found.low is not None and found.high is not None and found.low <= found.value <= found.high
    assert found == agreement.krippendorff(counts(given, 3)), "the interval is seeded"


def test_alpha_is_that_of_the_book() -> None:
    """Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: four observers, twelve units."""
    data = [
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    ]
    given = np.array([[-1 if each == "." else int(each) - 1 for each in row.split()] for row in data])
    found = agreement.krippendorff(counts(given, 5))
    assert (round(found.value or 0, 3), found.items) == (0.743, 11)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Two who answer at random have an alpha of 0."""
    hits = 0
    for number in range(200):
        given = np.random.default_rng(number).integers(2, size=(2, 60))
        found = agreement.krippendorff(counts(given, 2), seed=number)
        hits += found.low <= 0 <= found.high  # type: ignore[operator]
    assert 180 <= hits <= 199


def test_what_cannot_be_told_has_its_reason() -> None:
    few, habit = np.array([[2, 0]]), np.array([[2, 0]] * 9)
    single = np.array([[1, 0], [0, 1], [1, 0]])
    for found, reason in (
        (agreement.cohen([], []), agreement.FEW),
        (agreement.cohen([0], [1]), agreement.FEW),
        (agreement.cohen([1] * 9, [1] * 9), agreement.ONE_CLASS),
        (agreement.fleiss(few), agreement.FEW),
        (agreement.fleiss(single), agreement.FEW),
        (agreement.fleiss(habit), agreement.ONE_CLASS),
        (agreement.fleiss(np.array([[2, 0], [1, 2]])), agreement.UNEQUAL),
        (agreement.krippendorff(few), agreement.FEW),
        (agreement.krippendorff(single), agreement.FEW),
        (agreement.krippendorff(habit), agreement.ONE_CLASS),
        (agreement.krippendorff(np.zeros((0, 2), int)), agreement.FEW),
    ):
        assert (found.value, found.reason, found.low) == (None, reason, None)


def test_full_agreement_is_1_and_has_no_interval() -> None:
    found = agreement.krippendorff(np.array([[2, 0], [0, 2], [3, 0]]))
    assert (found.value, found.low, found.high) == (1, None, None)


def test_of_a_class_against_the_rest_only_that_class_matters() -> None:
    found = agreement.against(np.array([[2, 0, 0], [1, 1, 0], [0, 1, 1]]), 0)
    assert found.tolist() == [[2, 0], [1, 1], [0, 2]]
    assert agreement.agreed(found) == (2, 3)
    assert agreement.agreed(np.array([[1, 0], [0, 1]])) == (0, 0)


@st.composite
def tables(draw: Any) -> np.ndarray:
    classes, raters = draw(st.integers(2, 4)), draw(st.integers(2, 4))
    answer = st.lists(st.integers(0, classes - 1), min_size=raters, max_size=raters)
    given = np.array(draw(st.lists(answer, min_size=2, max_size=20))).T
    return counts(given, classes)


@given(tables(), st.randoms(use_true_random=False))
def test_names_and_order_of_classes_and_items_do_not_matter(table: np.ndarray, chance: Any) -> None:
    columns, rows = list(range(table.shape[1])), list(range(len(table)))
    chance.shuffle(columns)
    chance.shuffle(rows)
    other = table[rows][:, columns]
    for figure in (agreement.fleiss, agreement.krippendorff):
        first, second = figure(table), figure(other)
        assert first.reason == second.reason
        assert first.value == second.value or first.value == pytest.approx(second.value)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40))
def test_two_people_agree_alike_whoever_is_named_first(pairs: list[tuple[int, int]]) -> None:
    a, b = zip(*pairs, strict=True)
    one, other = agreement.cohen(a, b), agreement.cohen(b, a)
    assert one.reason == other.reason
    if one.value is not None:
        assert one.value == pytest.approx(other.value)
        assert -1 <= one.value <= 1
        assert (one.value == pytest.approx(1)) == (a == b)


@given(st.integers(0, 2**31), st.integers(2, 4))
def test_random_answers_agree_by_about_0(seed: int, classes: int) -> None:
    given = np.random.default_rng(seed).integers(classes, size=(3, 3000))
    table = counts(given, classes)
    for found in (agreement.fleiss(table), agreement.krippendorff(table), agreement.cohen(given[0], given[1])):
        assert abs(found.value or 0) < 0.12
