"""Processes die, freeze and lose their servers in the midst of a run; its effect is written exactly once."""

from __future__ import annotations

import os
import signal
import socket
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest
from counting.jobs import effects
from kombu import Connection

from workers import runs
from workers.celery import ring
from workers.models import Run, Worker
from workers.states import Status

AMQP = "amqp://guest:guest@127.0.0.1:5672//"
SLOW = {"to": 10, "seconds": 0.1}


def test_a_killed_pool_process_costs_an_attempt_and_no_work(stack, half_way, succeeded) -> None:
    run = runs.enqueue(job="count", options=SLOW)
    os.kill(half_way(run), signal.SIGKILL)
    succeeded(run)
    assert run.result["attempt"] == 2
    assert run.result["began_at"] > 0
    assert run.attempts.get(number=1).outcome == "lost"


def test_a_killed_worker_leaves_its_run_to_another(stack, half_way, succeeded) -> None:
    run = runs.enqueue(job="count", options=SLOW)
    half_way(run)
    first = run.attempts.get().worker.split(":")[0]
    stack.kill(first.split("@")[0])
    succeeded(run)
    assert run.result["attempt"] == 2
    assert run.result["began_at"] > 0
    assert run.attempts.get(number=2).worker.split(":")[0] != first


def test_a_run_that_is_rung_three_times_runs_once(stack, succeeded) -> None:
    run = runs.enqueue(job="count", options={"to": 4, "seconds": 0.1})
    for _ in range(3):
        ring("cpu", run.pk)
    succeeded(run)
    bell = runs.enqueue(job="count", options={"to": 1})  # behind the three rings
    succeeded(bell)
    run.refresh_from_db()
    assert run.attempt == 1
    assert run.lines.count() == 4


def test_a_cancelled_run_stops_in_the_midst_of_its_work(stack, half_way, until) -> None:
    run = runs.enqueue(job="count", options={"to": 1000, "seconds": 0.1})
    pid = half_way(run)
    runs.cancel(run)
    until(lambda: run.refresh_from_db() or run.status == Status.CANCELLED)
    assert effects(run.pk) == 0
    assert not run.artifacts.exists()
    os.kill(pid, 0)  # its process lives on


def test_a_job_that_is_deaf_to_a_cancel_is_stopped_with_its_process(stack, until, succeeded) -> None:
    deaf = {"to": 1000, "seconds": 0.1, "checkpoints": False, "deaf": True}
    run = runs.enqueue(job="count", options=deaf)
    until(lambda: run.lines.exists())
    runs.cancel(run)
    until(lambda: run.refresh_from_db() or run.status == Status.CANCELLED)
    assert effects(run.pk) == 0
    for other in [runs.enqueue(job="count") for _ in range(2)]:
        succeeded(other)


def test_a_frozen_worker_that_wakes_up_is_refused(stack, half_way, succeeded, until) -> None:
    run = runs.enqueue(job="count", options=SLOW)
    half_way(run)
    name = run.attempts.get().worker.split("@")[0]
    stack.send(name, signal.SIGSTOP)
    try:
        succeeded(run)
        assert run.result["attempt"] == 2
        before = list(run.lines.values_list()), list(run.metrics.values_list()), run.result
    finally:
        stack.send(name, signal.SIGCONT)
    until(lambda: f"run={str(run.pk)[:8]} job=count attempt 1 is refused" in stack.log(name).read_text())
    succeeded(run)
    assert (list(run.lines.values_list()), list(run.metrics.values_list()), run.result) == before


def test_a_worker_that_leaves_is_no_longer_listed(stack, until) -> None:
    assert set(Worker.objects.alive().values_list("queues", flat=True)[0]) == {"cpu"}
    stack.processes["a"].terminate()
    until(lambda: not Worker.objects.filter(pid=stack.processes["a"].pid).exists())
    stack.kill("a")


def test_nothing_is_lost_with_the_broker_or_doubled_with_the_database(stack, half_way, succeeded, until) -> None:
    stack.ensure()
    stack.worker("patient", "patient", DUOLOG_RUN_LEASE="30")

    def enqueue() -> Run:
        run = Run.objects.create(job="count", queue="patient", options=SLOW)
        ring(run.queue, run.pk)
        return run

    running, waiting = enqueue(), [enqueue(), enqueue()]
    half_way(running)
    with closing(stack.valkey()) as valkey:
        valkey.flushall()
    stack.restart_postgres()
    succeeded(running)
    assert running.attempt == 1, "the work went on through the outage"
    assert running.lines.count() == 10
    for run in waiting:
        succeeded(run)


@pytest.fixture
def rabbit() -> Iterator[str]:
    """A queue of a RabbitMQ, if one runs here."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 5672)):
            pytest.skip("no RabbitMQ answers on 127.0.0.1:5672")
    name = f"duolog-{uuid.uuid4().hex[:12]}"
    yield name
    with Connection(AMQP) as connection:
        connection.default_channel.queue_delete(name)


def test_rabbitmq_is_as_good_a_doorbell(stack, rabbit: str, half_way, succeeded) -> None:
    stack.ensure()
    stack.sweeper("sweeper-amqp", CELERY_BROKER_URL=AMQP)  # it does all the ringing
    stack.worker("amqp", rabbit, CELERY_BROKER_URL=AMQP)
    first, second = (Run.objects.create(job="count", queue=rabbit, options=SLOW, rung_at=None) for _ in range(2))
    os.kill(half_way(first), signal.SIGKILL)
    for run in (first, second):
        succeeded(run)
    assert first.attempt == 2
