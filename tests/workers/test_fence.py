"""An attempt whose run was given to another can write nothing any more."""

from __future__ import annotations

import pytest

from workers import leases, runs
from workers.context import RunContext
from workers.jobs import LeaseLost
from workers.models import Artifact, Line, Metric, Run
from workers.states import Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def stale(claim, expire, due) -> RunContext:
    """The first attempt of a run that a second attempt holds by now."""
    run = runs.enqueue(job="count")
    first = claim(run)
    expire(run)
    leases.sweep()
    due(run)
    claim(run)
    return first


def never() -> None:
    raise AssertionError("a stale attempt reached its effect")


WRITES = {
    "renew": leases.renew,
    "finish": lambda ctx: leases.finish(ctx, never),
    "end": lambda ctx: leases.end(ctx, Status.FAILED, "no"),
    "retry": lambda ctx: leases.end(ctx, Status.FAILED, "no", retry=True),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_stale_attempt_is_refused(stale: RunContext, write) -> None:
    stale.log("late")
    stale.metric("loss", 1.0, 1)
    stale.checkpoint(1, lambda folder: (folder / "state").write_text("late"))
    stale.artifact("model", lambda folder: (folder / "weights").write_text("late"))
    before = Run.objects.filter(pk=stale.run.pk).values().get()
    with pytest.raises(LeaseLost):
        write(stale)
    assert Run.objects.filter(pk=stale.run.pk).values().get() == before
    assert not Line.objects.exists()
    assert not Metric.objects.exists()
    assert not Artifact.objects.exists()


def test_an_expired_lease_that_nobody_took_can_still_be_renewed(claim, expire) -> None:
    ctx = claim(runs.enqueue(job="count"))
    expire(ctx.run)
    leases.renew(ctx)
    assert leases.sweep().lost == 0


def test_news_of_a_write_that_failed_are_kept_for_the_next(claim) -> None:
    ctx = claim(runs.enqueue(job="count"))
    ctx.log("first")
    ctx.metric("loss", 2.0, 1)
    ctx.checkpoint(1, lambda folder: (folder / "state").write_text("1"))
    with pytest.raises(RuntimeError), ctx.news():
        ctx.log("second")
        ctx.metric("loss", 1.0, 1)
        raise RuntimeError
    leases.renew(ctx)
    assert list(Line.objects.values_list("text", flat=True)) == ["first", "second"]
    assert Metric.objects.get().value == 1.0
    assert Artifact.objects.get().step == 1
