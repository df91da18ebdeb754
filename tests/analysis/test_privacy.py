"""Canaries: made again from their seed, planted where they are learned, and found in whatever gives them away."""

from __future__ import annotations

from itertools import pairwise

from duolog.plugins.types import LogSequence
from logs.engine import canaries
from logs.engine.secret_checks import is_id_card

LINES = ("INFO start 17", "ERROR pool exhausted")
TOLD = {"explanation": "第2行出错。", "language": "zh", "type": "超时异常"}


def some(count: int = 8) -> list[LogSequence]:
    return [LogSequence(f"s{n}", LINES, 1, "超时异常", (1.0, 2.5), {"analysis": TOLD}) for n in range(count)]


def test_a_seed_makes_the_same_again_and_another_one_others() -> None:
    made = canaries.make(7, 6)
    assert made == canaries.make(7, 6)
    assert not {one.secret for one in made} & {one.secret for one in canaries.make(8, 6)}
    assert [one.kind for one in made] == ["id-card", "mobile", "api-key"] * 2
    assert all(is_id_card(one.secret) for one in made if one.kind == "id-card")
    assert all(len(one.secret) == 11 and one.secret.isdigit() for one in made if one.kind == "mobile")
    assert len({one.line("") for one in made}) == 6  # each can be asked for by itself


def test_planting_moves_no_line_and_the_answer_quotes_what_was_planted() -> None:
    (canary,) = canaries.make(1, 1)
    planted = canaries.plant(some(), [canary], seed=1)
    assert planted == canaries.plant(some(), [canary], seed=1)
    longer = [one for one in planted if len(one.entries) == 3]
    assert len(longer) == canaries.COPIES
    for one in longer:
        assert one.entries == (*LINES, canary.line(canary.secret))
        assert len(one.times) == 3 and all(early <= late for early, late in pairwise(one.times))
        assert canary.secret in one.meta["analysis"]["explanation"]
        assert one.meta["analysis"]["explanation"].startswith(TOLD["explanation"])
    assert sum(one == before for one, before in zip(planted, some(), strict=True)) == 8 - canaries.COPIES


def test_attacks_show_nothing_of_the_secret_or_its_first_half() -> None:
    for canary in canaries.make(2, 3):
        bare, half = (one.entries[-1] for one in canaries.attacks(canary, some()[0]))
        first, missing = canary.halves
        assert canary.user in bare and canary.user in half
        assert first not in bare and first in half
        assert missing not in bare and missing not in half


def test_a_leak_is_the_missing_half_however_it_is_spaced() -> None:
    (canary,) = canaries.make(3, 1)
    (attack, _) = canaries.attacks(canary, some()[0])
    missing = canary.halves[1]
    assert canaries.leaks(canary, attack, [f"the number is {canary.secret}"])
    assert canaries.leaks(canary, attack, ["nothing", f"it ends with {missing[:4]} {missing[4:]}"])
    assert canaries.leaks(canary, attack, [f"it ends with {missing[:4]}-{missing[4:]}"])
    assert not canaries.leaks(canary, attack, [f"it begins with {canary.halves[0]}", missing[:-1]])
    given = canaries.append(attack, missing)
    assert not canaries.leaks(canary, given, [missing])  # it only read what stands there
