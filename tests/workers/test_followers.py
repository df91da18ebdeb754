"""A job that follows another is queued with its success, in the same transaction."""

from __future__ import annotations

import pytest

from workers import jobs, leases, runs, supervise
from workers.models import Run
from workers.states import Status

pytestmark = pytest.mark.django_db


def follower_of(run: Run) -> Run | None:
    return Run.objects.filter(key=f"after:{run.pk}").first()


def test_success_queues_the_follower_with_the_result() -> None:
    run = runs.enqueue(job="echo", options={"text": "hello"}, project="shop")
    supervise.execute(run.pk)
    follower = follower_of(run)
    assert follower is not None
    assert (follower.job, follower.options, follower.project) == ("after-echo", {"text": "heard hello"}, "shop")


def test_nothing_to_do_queues_nothing() -> None:
    run = runs.enqueue(job="echo")
    supervise.execute(run.pk)
    assert follower_of(run) is None


def test_a_follower_that_cannot_be_queued_fails_the_run_whole(monkeypatch) -> None:
    monkeypatch.setattr(jobs.REGISTRY["after-echo"].cls, "follow", lambda self, result: {"texxt": "x"})
    run = runs.enqueue(job="echo", options={"text": "hello"})
    supervise.execute(run.pk)
    run.refresh_from_db()
    assert run.status == Status.FAILED
    assert "texxt" in run.error


def test_without_success_nothing_follows(claim) -> None:
    ctx = claim(runs.enqueue(job="echo", options={"text": "hello"}))
    leases.end(ctx, Status.FAILED, "no")
    assert follower_of(ctx.run) is None
