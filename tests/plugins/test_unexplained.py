"""A case of which an analyst can say nothing costs no other its report, and says why."""

from __future__ import annotations

import pytest

from duolog.plugins import guard
from duolog.plugins.points import Analyst
from duolog.plugins.registry import PluginError
from duolog.plugins.types import Case, LogSequence, NullContext, Report, Unexplained

CASES = [Case(LogSequence(name, ("a line",)), 0.9, 0.5) for name in "ab"]


def explain(*found: object) -> list[object]:
    class Fixed(Analyst):
        def explain(self, cases, languages, ctx, draft):
            return found

    return guard.call(Fixed(), "explain", CASES, (), NullContext(), lambda *_: None)


def test_a_case_may_stay_unexplained():
    found = [Unexplained("no answer"), Report(False, "", "", "", 0.5)]
    assert explain(*found) == found


def test_it_must_say_why():
    with pytest.raises(PluginError, match="report 1 of 2 gives no reason"):
        explain(Report(False, "", "", "", 0.5), Unexplained(" "))
