"""Who is asked to explain what, and when: unasked after scans and live, within what a project allows and may spend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction
from explaining import explain, opened, report, scanned

from analysis import analyst, drafts, jobs, reports, usage
from analysis.models import AnomalyReport, Finding
from detection.models import ModelVersion, NewScore, Score
from logs.models import Project, Source
from workers import leases, runs, streams, supervise
from workers.models import Run

pytestmark = pytest.mark.django_db

MIXED = (("FATAL end",), ("WARN low 1",), ("WARN low 2",), ("INFO well",), ("ERROR disk",))


def states() -> dict[str, tuple[str, bool]]:
    """Severity, and whether there are texts, of the newest report by the first word of the sequence."""
    rows = reports.newest(Finding.objects.all()).values()
    return {" ".join(row.finding.sequence.entries): (row.severity, bool(row.texts)) for row in rows}


def test_a_scan_is_explained_by_itself_and_only_what_is_grave_gets_texts(asked: list[Any]) -> None:
    scan = scanned(*MIXED)
    supervise.execute(runs.enqueue(job="open-findings", options={"scan": scan.pk}, project="mine").pk)
    (run,) = Run.objects.filter(job="explain")
    supervise.execute(run.pk)
    assert states() == {
        "FATAL end": ("critical", True), "ERROR disk": ("high", True), "INFO well": ("", False),
        "WARN low 1": ("low", False), "WARN low 2": ("low", False),
    }  # fmt: skip
    assert [(len(cases), languages) for cases, languages in asked] == [(4, ()), (2, ("zh", "en"))]
    assert not reports.waiting(project="mine", text=False).exists()


def test_texts_that_are_known_need_no_verdict(asked: list[Any]) -> None:
    explain(*opened(("ERROR disk",)))
    (finding,) = opened(("ERROR disk",))
    explain(unasked=True)
    assert report(finding).texts and len(asked) == 1


@pytest.mark.parametrize(("least", "queued"), [("never", 0), ("low", 1)])
def test_an_operator_says_from_where_on(asked: list[Any], settings: Any, least: str, queued: int) -> None:
    settings.EXPLAIN_FROM = least
    scan = scanned(*MIXED)
    supervise.execute(runs.enqueue(job="open-findings", options={"scan": scan.pk}, project="mine").pk)
    assert Run.objects.filter(job="explain").count() == queued
    explain(unasked=True)
    assert sum(texts for _, texts in states().values()) == 4 * queued


def test_live_findings_are_explained_and_a_burst_queues_one_run(asked: list[Any]) -> None:
    for _ in range(3):
        scan = scanned(("ERROR disk 1",), ("ERROR disk 2",))
        source, _ = Source.objects.get_or_create(
            project=scan.dataset.project, name="web", defaults={"dataset": scan.dataset}
        )
        NewScore.objects.bulk_create(NewScore(score=score) for score in Score.objects.filter(scan=scan))
        streams.STAGES["open-findings"].step(source.pk)
    (run,) = Run.objects.filter(job="explain")
    supervise.execute(run.pk)
    assert AnomalyReport.objects.filter(state="done", copy_of=None).exclude(texts={}).count() == 1
    assert {row.severity for row in reports.newest(Finding.objects.all()).values()} == {"high"}
    assert len(reports.newest(Finding.objects.all())) == 6
    # What comes now is not that run's any more.
    assert jobs.explain_soon("mine") != run


def test_lines_leave_the_house_only_where_an_owner_allows_it(asked: list[Any]) -> None:
    (finding,) = opened(("ERROR disk",))
    run = explain(finding, analyst="remote-echo")
    assert (run.status, "forbids" in run.error) == ("failed", True)
    assert not asked
    Project.objects.filter(slug="mine").update(remote_analysts=True)
    assert explain(finding, analyst="remote-echo").result["written"] == 1


def test_unasked_a_project_that_keeps_its_lines_is_served_by_the_rules(
    asked: list[Any], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ANALYST = "remote-echo"
    monkeypatch.setattr(analyst, "RULES", "echo")
    (finding,) = opened(("ERROR disk",))
    assert explain(finding).status == "failed"
    assert explain(unasked=True).status == "succeeded"
    assert report(finding).analyst == "echo"


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_being_claimed_is_not_relied_upon(asked: list[Any]) -> None:
    """It may have looked for findings already: those that open now need another one."""
    with transaction.atomic():
        first = jobs.explain_soon("mine")
    held, seen = Event(), Event()

    def claim() -> None:
        try:
            with transaction.atomic():
                Run.objects.filter(pk=first.pk).update(status="running")
                held.set()
                seen.wait(20)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(claim)
        assert held.wait(20)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '300ms'")
            second = jobs.explain_soon("mine")
        seen.set()
        done.result()
    assert first and second and first.pk != second.pk
    with transaction.atomic():
        assert jobs.explain_soon("mine") == second


def test_an_unknown_analyst_is_told_with_those_there_are(asked: list[Any]) -> None:
    run = explain(*opened(("ERROR disk",)), analyst="nobody@champion")
    assert run.status == "failed"
    assert "nobody@champion" in run.error and "remote-echo" in run.error


def test_a_model_that_is_no_analyst_is_not_asked_and_an_analyst_scores_nothing(asked: list[Any]) -> None:
    rows = opened(("ERROR disk",))
    assert explain(*rows, analyst="m:1").status == "failed"
    ModelVersion.objects.create(project="mine", name="a", number=1, detector="echo", kind="analyst")
    from detection import versions

    with pytest.raises(versions.VersionError):
        versions.resolve(project="mine", ref="a:1")


def test_a_day_costs_no_more_than_it_may(asked: list[Any], settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ANALYST_DAILY_COST, settings.ANALYST_OPTIONS = 1.0, {"remote-echo": {"cost": 0.5}}
    monkeypatch.setattr("analysis.writing.BATCH", 1)
    rows = opened(("ERROR a",), ("ERROR b",), ("ERROR c",))
    Project.objects.filter(slug="mine").update(remote_analysts=True)
    run = explain(*rows, analyst="remote-echo")
    assert (run.status, run.result["written"], usage.spent(project="mine")) == ("succeeded", 2, 1.0)
    run = explain(*rows, analyst="remote-echo")
    assert (run.status, "DUOLOG_ANALYST_DAILY_COST" in run.error) == ("failed", True)
    assert explain(*rows).result["written"] == 3  # at home it costs nothing
    ((day,)) = usage.daily(AnomalyReport.objects.filter(analyst="remote-echo"))
    assert (day["written"], day["prompt_tokens"], float(day["cost"])) == (2, 20, 1.0)


def test_a_killed_attempt_leaves_nothing_that_counts_twice(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = opened(("ERROR disk",))
    run = runs.enqueue(job="explain", options={"findings": [finding.pk]}, project="mine")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("analysis.jobs._keep", die)
        supervise.execute(run.pk)
    assert [row.draft for row in AnomalyReport.objects.all()] == ["thinking"]
    assert reports.being_written(finding)
    Run.objects.filter(pk=run.pk).update(lease_until="2020-01-01T00:00Z")
    leases.sweep()
    Run.objects.filter(pk=run.pk).update(not_before="2020-01-01T00:00Z")
    supervise.execute(run.pk)
    assert [row.state for row in AnomalyReport.objects.all()] == ["done"]
    assert not reports.being_written(finding)


def test_a_draft_whose_run_ended_is_tidied_away(asked: list[Any]) -> None:
    (finding,) = opened(("ERROR disk",))
    run = Run.objects.create(project="mine", job="explain", status="running")
    drafts.Drafts([finding], analyst="echo", run=run)
    assert (reports.tidy(), reports.being_written(finding) is None) == (0, False)
    Run.objects.update(status="cancelled")
    assert reports.being_written(finding) is None
    assert reports.tidy() == 1


def test_a_draft_is_written_at_most_twice_a_second(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = opened(("ERROR disk",))
    now = [100.0]
    monkeypatch.setattr(drafts.time, "monotonic", lambda: now[0])
    draft = drafts.Drafts([finding], analyst="echo", run=Run.objects.create(project="mine", job="explain"))
    seen = []
    for text in ("a", "ab", "abc", "abc\0d"):
        draft(0, text)
        seen.append(report(finding).draft)
        now[0] += 0.3
    assert seen == ["a", "a", "abc", "abc"]


def test_an_analyst_that_only_fails_is_not_asked_on_and_on(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.jobs.PAGE", 1)
    monkeypatch.setattr("analysis.jobs.ASKED", 1)
    opened(("ERROR fine",), ("POISON a",), ("POISON b",))
    run = explain()
    assert run.result == {"written": 0, "copied": 0, "failed": 1}
    assert Run.objects.filter(job="explain").count() == 1


def test_a_finding_that_is_gone_by_the_end_gets_none(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = opened(("ERROR a",), ("ERROR b",))
    keep = jobs._keep

    def late(*args: Any) -> Any:
        Finding.objects.filter(pk=first.pk).delete()
        return keep(*args)

    monkeypatch.setattr(jobs, "_keep", late)
    assert explain(first, second).status == "succeeded"
    assert [row.finding for row in AnomalyReport.objects.all()] == [second]


def test_findings_of_others_cannot_be_asked_for(asked: list[Any]) -> None:
    (theirs,) = opened(("ERROR a",), project="other")
    with pytest.raises(jobs.JobFailed, match="no findings"):
        jobs.explain(project="mine", findings=[theirs.pk])
    with pytest.raises(jobs.JobFailed, match="no scan"):
        jobs.explain(project="mine", scan=theirs.score.scan_id)
