"""A queued run ends at once; a running one at its next checkpoint, and then without its effect."""

from __future__ import annotations

import pytest
from counting.jobs import effects

from workers import leases, runs, supervise
from workers.jobs import Cancelled
from workers.states import Status

pytestmark = pytest.mark.django_db


def test_a_queued_run_is_cancelled_at_once() -> None:
    run = runs.enqueue(job="count")
    runs.cancel(run)
    assert run.status == Status.CANCELLED
    assert run.finished_at
    supervise.execute(run.pk)
    assert effects(run.pk) == 0


def test_a_beat_tells_a_running_job_to_stop(claim) -> None:
    ctx = claim(runs.enqueue(job="count"))
    assert leases.renew(ctx) is False
    runs.cancel(ctx.run)
    assert ctx.run.status == Status.RUNNING
    assert leases.renew(ctx) is True


def test_a_run_cancelled_before_its_finish_has_no_effect(claim) -> None:
    ctx = claim(runs.enqueue(job="count"))
    runs.cancel(ctx.run)
    with pytest.raises(Cancelled):
        leases.finish(ctx, lambda: pytest.fail("the effect was written"))


def test_a_retry_of_a_run_to_be_cancelled_is_cancelled_instead(claim) -> None:
    ctx = claim(runs.enqueue(job="count"))
    runs.cancel(ctx.run)
    assert leases.end(ctx, Status.FAILED, "connection lost", retry=True) == Status.CANCELLED


@pytest.mark.parametrize("job", ["count", "fail"])
def test_a_finished_run_stays_as_it_is(job: str) -> None:
    run = runs.enqueue(job=job)
    supervise.execute(run.pk)
    run.refresh_from_db()
    before = run.status
    runs.cancel(run)
    assert run.status == before
    assert run.cancel_at is None
