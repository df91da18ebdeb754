"""What is read off a line beside its words."""

from __future__ import annotations

import numpy as np

from detection.engine.inputs import CODES, FIRST, KINDS, LEVELS, Inputs
from duolog.plugins.types import LogSequence


def said(inputs: Inputs, *entries: str, times: tuple[float, ...] = ()) -> dict[str, list[int]]:
    """Return each kind's codes, counted from its own first; -1 says nothing."""
    (codes,) = inputs.codes([LogSequence("s", entries, times=times)])
    assert codes.max(initial=0) < CODES
    own = np.where(codes < 0, -1, codes - np.array(FIRST))
    return {kind: own[:, column].tolist() for column, kind in enumerate(KINDS)}


def test_levels_are_told_apart_and_none_is_none():
    found = said(Inputs(), "INFO shop.Order: paid", "2026-01-05 10:00:00 ERROR shop.Order: refused", "no level here")
    assert found["level"] == [LEVELS.index("INFO"), LEVELS.index("ERROR"), -1]


def test_a_service_is_known_by_when_it_first_speaks():
    shop = said(Inputs(), "INFO shop.Order: a", "INFO shop.Stock: b", "INFO shop.Order: c", "just words")
    bank = said(Inputs(), "INFO bank.Loan: x", "INFO bank.Rate: y", "INFO bank.Loan: z", "only words")
    assert shop["service"] == bank["service"] == [0, 1, 0, -1]


def test_services_beyond_the_last_share_its_number():
    found = said(Inputs(), *(f"INFO shop.S{letter}: hello" for letter in "abcdefghij"))
    assert found["service"] == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7]


def test_pauses_are_told_apart_by_their_magnitude():
    assert said(Inputs(), *"abcd", times=(0.0, 0.2, 5.0, 4000.0))["gap"] == [-1, 0, 1, 4]
    assert said(Inputs(), *"ab")["gap"] == [-1, -1]


def test_a_value_far_from_its_own_history_stands_out_and_a_usual_one_does_not():
    history = [
        LogSequence(str(n), (f"INFO pay done in {100 + n % 40}ms", f"INFO loaded {n % 9} of 9")) for n in range(80)
    ]
    inputs = Inputs.learn(history)
    found = said(
        inputs, "INFO pay done in 110ms", "INFO pay done in 9000ms", "INFO pay done in 1ms", "INFO new took 9000ms"
    )
    usual, slow, quick, unknown = found["value"]
    assert usual == unknown == -1
    assert slow == 4
    assert quick == 0


def test_equal_windows_stay_equal_whatever_usual_values_they_hold():
    inputs = Inputs.learn([LogSequence(str(n), (f"INFO pay done in {100 + n % 40}ms",)) for n in range(80)])
    one, other = inputs.codes([LogSequence(n, (f"INFO pay done in {n}ms",), times=(1.0,)) for n in ("104", "131")])
    assert one.tobytes() == other.tobytes()


def test_the_history_survives_being_stored():
    inputs = Inputs.learn([LogSequence(str(n), (f"INFO pay done in {100 + n % 40}ms",)) for n in range(80)])
    arrays = inputs.arrays()
    assert Inputs.restore(arrays["history.keys"], arrays["history.values"]).history == inputs.history
    empty = Inputs.learn([]).arrays()
    assert Inputs.restore(empty["history.keys"], empty["history.values"]).history == {}
