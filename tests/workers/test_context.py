"""What a job reports arrives as it was said, however odd."""

from __future__ import annotations

import math

import pytest

from workers import leases, runs
from workers.states import Status

pytestmark = pytest.mark.django_db


def test_odd_text_and_numbers_do_not_stop_a_run(claim) -> None:
    ctx = claim(runs.enqueue(job="count"))
    ctx.stage("read \0 \udc80", 10)
    ctx.log("line with \0 and \udc80 and 数据库")
    ctx.metric("loss\0", math.nan, 1)
    ctx.metric("loss", math.inf, 1)
    leases.renew(ctx)
    assert leases.end(ctx, Status.FAILED, "no") == Status.FAILED
    ctx.run.refresh_from_db()
    assert ctx.run.latest == {"loss\N{REPLACEMENT CHARACTER}": None, "loss": None}
    assert ctx.run.lines.get().text == "line with \N{REPLACEMENT CHARACTER} and ? and 数据库"
    assert ctx.run.metrics.get(name="loss").value == math.inf


def test_a_beat_saves_progress_and_the_rest_can_be_estimated(claim) -> None:
    ctx = claim(runs.enqueue(job="count"))
    assert ctx.run.remaining is None
    ctx.stage("fit", 10)
    ctx.advance(4)
    leases.renew(ctx)
    ctx.run.refresh_from_db()
    assert (ctx.run.stage, ctx.run.done, ctx.run.total, ctx.run.share) == ("fit", 4, 10, 0.4)
    assert ctx.run.remaining is not None


def test_a_step_that_is_reported_again_keeps_the_later_value(claim) -> None:
    ctx = claim(runs.enqueue(job="count"))
    for value in (3.0, 2.0):
        ctx.metric("loss", value, 1)
    leases.renew(ctx)
    ctx.metric("loss", 1.0, 1)
    leases.renew(ctx)
    assert ctx.run.metrics.get().value == 1.0


def test_log_lines_also_go_to_the_workers_log(claim, caplog) -> None:
    caplog.set_level("INFO")
    ctx = claim(runs.enqueue(job="count"))
    ctx.log("half way", "warning")
    assert f"run={str(ctx.run.pk)[:8]} job=count half way" in caplog.text
