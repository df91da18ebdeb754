"""How an attempt ends decides whether there is another one."""

from __future__ import annotations

import pytest
from counting.jobs import effects
from django.db import OperationalError, ProgrammingError

from workers import jobs, leases, runs, supervise
from workers.models import Run
from workers.states import Status

pytestmark = pytest.mark.django_db


def executed(job: str, **options: object) -> Run:
    run = runs.enqueue(job=job, options=options)
    supervise.execute(run.pk)
    run.refresh_from_db()
    return run


def test_success_keeps_result_progress_and_effect() -> None:
    run = executed("count", to=2)
    assert (run.status, run.done, run.total, run.stage) == (Status.SUCCEEDED, 2, 2, "count")
    assert run.result["counted"] == 2
    assert run.latest == {"counted": 2.0}
    assert run.attempts.get().outcome == "succeeded"
    assert effects(run.pk) == 1


@pytest.mark.parametrize("error", ["JobFailed", "ZeroDivisionError"])
def test_an_error_that_another_try_cannot_cure_fails_at_once(error: str) -> None:
    run = executed("fail", error=error)
    assert (run.status, run.attempt) == (Status.FAILED, 1)
    assert "asked to fail" in run.error
    assert run.lines.filter(level="error").exists()


def test_a_passing_error_is_tried_again_after_a_pause(due) -> None:
    run = executed("fail", error="ConnectionError", times=1)
    assert run.status == Status.QUEUED
    supervise.execute(run.pk)
    run.refresh_from_db()
    assert run.attempt == 1, "not before its time"
    due(run)
    supervise.execute(run.pk)
    run.refresh_from_db()
    assert (run.status, run.attempt, run.error) == (Status.SUCCEEDED, 2, "")


def test_a_passing_error_that_stays_fails_when_no_attempts_are_left(due) -> None:
    run = executed("fail", error="ConnectionError")
    for _ in range(2):
        due(run)
        supervise.execute(run.pk)
    run.refresh_from_db()
    assert (run.status, run.attempt) == (Status.FAILED, 3)
    assert run.error == "ConnectionError: asked to fail"


def test_a_job_that_this_worker_does_not_know_fails_clearly() -> None:
    run = Run.objects.create(job="nonsense")
    supervise.execute(run.pk)
    run.refresh_from_db()
    assert run.status == Status.FAILED
    assert "there is no job called nonsense" in run.error


def test_options_that_no_longer_fit_fail_clearly() -> None:
    run = Run.objects.create(job="count", options={"until": 3})
    supervise.execute(run.pk)
    run.refresh_from_db()
    assert (run.status, run.attempt) == (Status.FAILED, 1)
    assert "unknown option 'until'" in run.error


def test_an_effect_that_fails_leaves_nothing_behind(claim, monkeypatch) -> None:
    def run(self: object, options: object, ctx: object) -> jobs.Finish:
        effect = original(self, options, ctx)

        def broken() -> None:
            effect()
            raise jobs.JobFailed("the name is taken")

        return broken

    original = jobs.REGISTRY["count"].cls.run
    monkeypatch.setattr(jobs.REGISTRY["count"].cls, "run", run)
    run = executed("count")
    assert (run.status, run.error) == (Status.FAILED, "the name is taken")
    assert effects(run.pk) == 0


def test_a_finish_that_meets_an_outage_is_tried_again(claim, monkeypatch) -> None:
    outages = iter([OperationalError("away"), OperationalError("away")])
    original = leases.finish

    def finish(*args: object) -> None:
        for outage in outages:
            raise outage
        original(*args)

    monkeypatch.setattr(leases, "finish", finish)
    monkeypatch.setattr(supervise.connection, "close", lambda: None)  # this test's transaction is on it
    run = executed("count")
    assert (run.status, run.attempt) == (Status.SUCCEEDED, 1)
    assert effects(run.pk) == 1


def test_an_outage_that_took_what_the_job_had_prepared_is_worth_another_attempt(monkeypatch) -> None:
    def run(self: object, options: object, ctx: object) -> jobs.Finish:
        errors = iter([OperationalError("terminated"), ProgrammingError("relation staged does not exist")])

        def effect() -> None:
            raise next(errors)

        return effect

    monkeypatch.setattr(jobs.REGISTRY["count"].cls, "run", run)
    monkeypatch.setattr(supervise.connection, "close", lambda: None)  # this test's transaction is on it
    run = executed("count")
    assert (run.status, run.attempt) == (Status.QUEUED, 1)
    assert "staged" in run.error
