"""An analyst's reports on findings: written once for all that say the same, checked, and kept with what they took."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from explaining import explain, opened, report

from analysis import reports, usage
from analysis.models import AnomalyReport, Finding
from detection.engine.vectors import key, says
from detection.line_vectors import Table
from logs.engine.masking import mask
from workers.models import Run

pytestmark = pytest.mark.django_db

DISK = ("INFO starts", "ERROR disk 17 is full")


def test_a_report_is_kept_as_the_public_schema_has_it(asked: list[Any]) -> None:
    (finding,) = opened(DISK)
    run = explain(finding)
    assert (run.status, run.result) == ("succeeded", {"written": 1, "copied": 0, "failed": 0}), run.error
    row = report(finding)
    told = reports.document(row)
    assert (told["anomalous"], told["severity"], told["grounded"]) == (True, "high", 1.0)
    assert told["evidence"] == [{"line": 2, "quote": "ERROR"}]
    assert set(told["texts"]) == {"zh", "en"}
    assert told["texts"]["en"]["summary"] == "ERROR in line 2"
    assert (row.analyst, row.model, row.prompt_tokens, row.run) == ("echo", "echo-1", 10, run)
    (((case,), languages),) = asked
    assert (case.score, case.threshold, case.blame, languages) == (0.9, 0.5, (0.5, 0.5), ("zh", "en"))


def test_what_says_the_same_is_written_once_and_copied(asked: list[Any]) -> None:
    first, second, other = opened(DISK, ("INFO starts", "ERROR disk 4 is full"), ("ERROR no route",))
    assert explain(first, second, other).result == {"written": 2, "copied": 1, "failed": 0}
    assert [len(cases) for cases, _ in asked] == [2]
    assert report(second).copy_of == report(first)
    assert (report(second).prompt_tokens, report(second).model) == (0, "echo-1")
    (third,) = opened(("INFO starts", "ERROR disk 9 is full"))
    assert explain(third).result["copied"] == 1
    assert len(asked) == 1
    assert explain(third, languages=["en"]).result["written"] == 1


def test_another_project_has_nothing_to_copy(asked: list[Any]) -> None:
    for project in ("mine", "other"):
        assert explain(*opened(DISK, project=project), project=project).result["written"] == 1


def test_what_would_not_be_true_here_is_not_copied(asked: list[Any], settings: Any) -> None:
    """The quote holds a variable part, so the same template sequence does not bear it out."""
    settings.ANALYST_OPTIONS = {"echo": {"quote": "line"}}
    first, second, third = opened(DISK, ("INFO starts", "ERROR disk 4 is full"), DISK)
    assert explain(first, second, third).result == {"written": 2, "copied": 1, "failed": 0}
    assert report(second).evidence == [{"line": 2, "quote": "ERROR disk 4 is full"}]
    assert report(third).evidence == report(first).evidence
    assert report(second).grounded == 1.0
    (fourth,) = opened(("INFO starts", "ERROR disk 5 is full"))
    assert explain(fourth).result["written"] == 1


def test_other_options_are_another_analyst(asked: list[Any], settings: Any) -> None:
    (finding,) = opened(DISK)
    explain(finding)
    assert explain(finding).result == {"written": 0, "copied": 0, "failed": 0}
    settings.ANALYST_OPTIONS = {"echo": {"cost": 0.5}}
    assert explain(finding).result["written"] == 1
    assert AnomalyReport.objects.count() == 2


def test_a_failure_costs_its_batch_and_no_other(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.writing.BATCH", 1)
    good, bad, like, fine = opened(DISK, ("ERROR POISON 1",), ("ERROR POISON 2",), ("FATAL end",))
    run = explain(good, bad, like, fine)
    assert (run.status, run.result) == ("succeeded", {"written": 2, "copied": 0, "failed": 2})
    assert [report(each).state for each in (good, bad, like, fine)] == ["done", "failed", "failed", "done"]
    assert "echo (duolog-dummy 1.2.3) failed in explain: RuntimeError: I was poisoned" in report(bad).error
    assert len(asked) == 3


def test_what_an_analyst_cannot_explain_costs_no_other_its_report_and_is_paid_for(asked: list[Any]) -> None:
    good, odd = opened(DISK, ("RIDDLE",))
    assert explain(good, odd).result == {"written": 1, "copied": 0, "failed": 1}
    row = report(odd)
    assert (row.state, row.error, row.prompt_tokens) == ("failed", "what a riddle", 10)
    (day,) = usage.daily(AnomalyReport.objects.all())
    assert (day["written"], day["failed"], day["prompt_tokens"]) == (1, 1, 20)


def test_all_open_ones_without_a_text_are_explained_in_runs_of_bounded_size(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, most in (("PAGE", 2), ("ASKED", 2)):
        monkeypatch.setattr(f"analysis.jobs.{name}", most)
    rows = opened(*((f"ERROR {name}",) for name in "abcde"))
    Finding.objects.filter(pk=rows[0].pk).update(state="dismissed")
    explain()
    assert {each.pk for each in rows[1:]} == set(AnomalyReport.objects.values_list("finding", flat=True))
    assert Run.objects.filter(job="explain").count() == 3
    assert explain().result["written"] == 0


def test_lines_are_redacted_and_labels_held_back_before_an_analyst_sees_them(asked: list[Any]) -> None:
    (finding,) = opened(("ERROR user zhang@example.com password=hunter2",))
    finding.sequence.meta = {"analysis": {"type": "磁盘"}}
    finding.sequence.save()
    finding.sequence.labels.create(value=1, type="磁盘写满", source="import")
    (other,) = opened(("WARN mail to li@example.com",))
    other.sequence.labels.create(value=1, type="磁盘写满", source="import")
    Finding.objects.filter(pk=other.pk).update(state="confirmed")
    explain(finding)
    (((case,), _),) = asked
    assert "hunter2" not in str(case) and "zhang@" not in str(case)
    assert (case.sequence.label, case.sequence.type, case.sequence.meta) == (None, None, {})
    assert "磁盘写满" in case.types


def test_precedents_are_what_people_decided_on_the_like(asked: list[Any]) -> None:
    rows = opened(DISK, ("INFO starts", "ERROR disk 4 is full"), ("ERROR else",), DISK)
    rows[0].sequence.labels.create(value=1, type="磁盘写满", source="import")
    for finding, state in zip(rows, ["confirmed", "dismissed", "dismissed", "open"], strict=True):
        Finding.objects.filter(pk=finding.pk).update(state=state)
    explain(rows[3])
    (((case,), _),) = asked
    said = sorted((each.anomalous, each.type) for each in case.similar)
    assert said == [(False, ""), (True, "磁盘写满")]


def test_precedents_are_near_by_the_vectors_that_judging_left(asked: list[Any]) -> None:
    rows = opened(("ERROR the disk is full",), ("ERROR no route to host",), ("ERROR no space is left",))
    vectors = ([1.0, 0.2], [0.0, 1.0], [1.0, 0.0])
    for finding, vector in zip(rows, vectors, strict=True):
        (line,) = mask(finding.sequence.entries)
        Table().put("e", {key(says(line)): np.array(vector, "<f4").tobytes()})
    Finding.objects.filter(pk__in=[row.pk for row in rows[:2]]).update(state="confirmed")
    explain(rows[2])
    (((case,), _),) = asked
    assert [each.entries for each in case.similar] == [("ERROR the disk is full",)]


def test_a_report_that_cannot_be_kept_fails_and_says_why(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = opened(DISK)
    monkeypatch.setattr("analysis.cases.types", lambda project: ("没有这个类型",))
    explain(finding)
    assert report(finding).state == "done"
    monkeypatch.setattr("duolog_dummy.analysts.LEVELS", {"ERROR": "dreadful"})
    (other,) = opened(("ERROR other",))
    explain(other)
    assert (report(other).state, "dreadful" in report(other).error) == ("failed", True)


@pytest.mark.parametrize("cost", [1e7, float("nan"), -1.0, "much"])
def test_usage_that_makes_no_sense_is_no_usage(asked: list[Any], monkeypatch: pytest.MonkeyPatch, cost: Any) -> None:
    monkeypatch.setattr("duolog_dummy.analysts.EchoOptions.cost", cost)
    (finding,) = opened(DISK)
    assert explain(finding).status == "succeeded"
    assert report(finding).state == "failed"
