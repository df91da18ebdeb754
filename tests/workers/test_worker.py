"""A run that is queued here is executed by another process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from counting.jobs import effects
from django.core.management.base import CommandError

from workers import console, runs
from workers.models import Run, Worker
from workers.states import Status

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_worker_executes_what_is_queued(worker: None, until: Callable[..., None]) -> None:
    run = runs.enqueue(job="count", options={"to": 3})
    until(lambda: run.refresh_from_db() or run.status == Status.SUCCEEDED)
    assert run.result == {"counted": 3, "began_at": 0, "attempt": 1}
    assert effects(run.pk) == 1
    assert [line.text for line in run.lines.all()] == ["counted 1", "counted 2", "counted 3"]
    assert [point.value for point in run.metrics.all()] == [1, 2, 3]
    assert run.share == 1.0


def test_a_command_leaves_its_run_to_the_worker(worker: None) -> None:
    run = console.perform(job="count", options={"to": 1})
    assert run.attempts.get().worker.startswith("tests-")


def test_a_command_executes_its_run_where_no_worker_lives() -> None:
    Worker.objects.all().delete()
    run = console.perform(job="count", options={"to": 1})
    assert run.status == Status.SUCCEEDED
    assert effects(run.pk) == 1


def test_a_command_sees_what_follows_through_too() -> None:
    Worker.objects.all().delete()
    run = console.perform(job="echo", options={"text": "hello"})
    (follower,) = Run.objects.filter(job="after-echo")
    assert (follower.status, follower.result) == (Status.SUCCEEDED, {"text": "heard hello"})
    assert run.job == "echo"


def test_a_command_tells_why_its_run_failed() -> None:
    Worker.objects.all().delete()
    with pytest.raises(CommandError, match="asked to fail"):
        console.perform(job="fail")
    with pytest.raises(CommandError, match="unknown option 'too'; did you mean 'to'"):
        console.perform(job="count", options={"too": 1})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is warned")
def test_root_is_not_warned_of_pickle_which_is_not_accepted() -> None:
    check = "from workers.celery import app; from celery.platforms import check_privileges as check;"
    command = [sys.executable, "-W", "error", "-c", f"{check} check(app.conf.accept_content)"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert (done.returncode, "superuser" in done.stderr) == (0, False), done.stderr
