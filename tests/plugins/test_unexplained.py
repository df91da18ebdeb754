"""A case of which an analyst can say nothing costs no other its report, and says why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from duolog_dummy.wrong import CitesWhatIsNotThere, IsNanSure, ReportsTooFew

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


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (ReportsTooFew, "expected 2 reports, got 1"),
        (CitesWhatIsNotThere, "report 0 of 2 cites the line 1 .from 0. of 1"),
        (IsNanSure, "report 0 of 2 has the confidence nan"),
    ],
)
def test_reports_that_make_no_sense_are_refused(wrong, reason):
    cases = [replace(case, types=("超时异常",)) for case in CASES]
    with pytest.raises(PluginError, match=f"{wrong.__name__} failed in explain: {reason}"):
        guard.call(wrong(), "explain", cases, ("zh",), NullContext(), lambda *_: None)
