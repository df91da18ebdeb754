"""Options given as text, as a form or a command line gives them."""

from __future__ import annotations

from dataclasses import dataclass

from duolog.plugins.options import build


@dataclass(frozen=True)
class Options:
    types: tuple[str, ...] = ()
    numbers: tuple[int, ...] = (1,)


def test_commas_separate_the_members_of_a_tuple():
    assert build(Options, {"types": "a, b", "numbers": "3,4"}) == Options(("a", "b"), (3, 4))
    assert build(Options, {"types": ["a"]}) == Options(("a",))
