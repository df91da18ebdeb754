"""Who can be trusted: Dawid and Skene's figures as crowd-kit has them, and what smoothing and known truth do."""

from __future__ import annotations

import numpy as np
import pandas
import pytest
from crowdkit.aggregation import DawidSkene
from hypothesis import given
from hypothesis import strategies as st

from analysis.engine import reliability

Votes = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def crowd(accuracies: list[float], items: int, classes: int, seed: int, share: float = 0.8) -> Votes:
    """Truth, and the items, raters and values of the answers of people who are right so often."""
    chance = np.random.default_rng(seed)
    truth = chance.integers(classes, size=items)
    answered = chance.random((items, len(accuracies))) < share
    at, who = np.nonzero(answered)
    wrong = (truth[at] + chance.integers(1, classes, size=len(at))) % classes
    values = np.where(chance.random(len(at)) < np.array(accuracies)[who], truth[at], wrong)
    _, at = np.unique(at, return_inverse=True)
    return truth[np.flatnonzero(answered.any(1))], at, who, values


def tidy(frame: pandas.DataFrame) -> np.ndarray:
    return frame.sort_index().sort_index(axis=1).to_numpy()


@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
def test_figures_are_those_of_crowd_kit() -> None:
    classes = 3
    truth, at, who, values = crowd([0.95, 0.9, 0.8, 0.7, 0.85], 300, classes, seed=3, share=0.9)
    peer = DawidSkene(n_iter=150, tol=-1).fit(pandas.DataFrame({"task": at, "worker": who, "label": values}))
    found = reliability.fit(at, who, values, classes, smoothing=0)
    np.testing.assert_allclose(found.posterior, tidy(peer.probas_), atol=1e-4)
    np.testing.assert_allclose(found.prior, peer.priors_.sort_index(), atol=1e-4)
    errors = tidy(peer.errors_).reshape(5, classes, classes)  # [worker, said, true]
    np.testing.assert_allclose(found.confusion, errors.transpose(0, 2, 1), atol=1e-4)
    assert (found.posterior.argmax(1) == truth).mean() > 0.95


@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
def test_figures_with_some_truth_known_are_those_of_crowd_kit() -> None:
    truth, at, who, values = crowd([0.9, 0.8, 0.7, 0.8], 200, 2, seed=4)
    known = np.where(np.arange(len(truth)) < 60, truth, -1)
    frame = pandas.DataFrame({"task": at, "worker": who, "label": values})
    peer = DawidSkene(n_iter=150, tol=-1).fit(frame, pandas.Series(truth[:60]))
    found = reliability.fit(at, who, values, 2, truth=known, smoothing=0)
    np.testing.assert_allclose(found.posterior, tidy(peer.probas_), atol=1e-4)
    assert (found.posterior[:60].argmax(1) == truth[:60]).all()


def test_accuracies_are_found_and_the_careless_are_told_from_the_careful() -> None:
    real = [0.97, 0.9, 0.8, 0.65, 0.5]
    _, at, who, values = crowd(real, 2000, 2, seed=1)
    np.testing.assert_allclose(reliability.fit(at, who, values, 2).accuracy, real, atol=0.04)


def test_who_answered_little_is_taken_for_usual() -> None:
    found = reliability.fit([0, 0, 1, 1, 1], [0, 1, 0, 1, 2], [0, 0, 1, 1, 1], 2)
    assert (found.accuracy > 0.9).all()
    none = reliability.fit([], [], [], 2)
    assert (none.posterior.shape, none.accuracy.shape) == ((0, 2), (0,))
    assert np.isnan(reliability.fit([0, 0], [0, 2], [1, 1], 2, smoothing=0).accuracy[1])


@given(st.permutations(range(4)), st.integers(0, 2**31))
def test_names_of_raters_and_classes_do_not_matter(names: list[int], seed: int) -> None:
    _, at, who, values = crowd([0.9, 0.8, 0.7, 0.6], 40, 2, seed=seed)
    found = reliability.fit(at, who, values, 2)
    other = reliability.fit(at, np.array(names)[who], 1 - values, 2)
    np.testing.assert_allclose(other.accuracy[names], found.accuracy, atol=1e-6)
    np.testing.assert_allclose(other.posterior[:, ::-1], found.posterior, atol=1e-4)


def test_votes_together_weigh_as_probability_has_it() -> None:
    together = reliability.together
    assert together([]) == 0.5
    assert together([(True, 0.9)]) == pytest.approx(0.9)
    assert together([(True, 0.9), (True, 0.9)]) == pytest.approx(0.81 / 0.82)
    assert together([(True, 0.9), (False, 0.9)]) == pytest.approx(0.5)
    assert together([(True, 0.5), (True, 0.8)]) == pytest.approx(0.8)
    assert 0 <= together([(False, 1.0), (True, 0.0)]) < 1e-9


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=9))
def test_votes_together_are_a_probability_and_the_other_class_has_the_rest(votes: list[tuple[bool, float]]) -> None:
    found = reliability.together(votes)
    assert 0 <= found <= 1
    assert reliability.together([(not agrees, sure) for agrees, sure in votes]) == pytest.approx(1 - found)
