"""Queueing: checked at once, idempotent by key, and independent of the broker's health."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from duolog.plugins.options import OptionsError
from workers import runs
from workers.celery import app
from workers.jobs import JobFailed
from workers.models import Run
from workers.states import Status


@pytest.mark.django_db
def test_options_are_checked_and_completed() -> None:
    assert runs.enqueue(job="count", options={"to": "7"}).options["to"] == 7
    assert runs.enqueue(job="count").options["seconds"] == 0.0
    with pytest.raises(OptionsError, match="did you mean 'seconds'"):
        runs.enqueue(job="count", options={"second": 1})
    with pytest.raises(JobFailed, match=r"no job called cuont; known: .*count"):
        runs.enqueue(job="cuont")


@pytest.mark.django_db
def test_a_key_makes_queueing_idempotent_within_project_and_job() -> None:
    first = runs.enqueue(job="count", options={"to": 1}, key="upload-1")
    assert runs.enqueue(job="count", options={"to": 1}, key="upload-1") == first
    assert runs.enqueue(job="echo", key="upload-1") != first
    assert runs.enqueue(job="count", project="other", key="upload-1") != first
    assert runs.enqueue(job="count", key=None) != runs.enqueue(job="count", key=None)


@pytest.mark.django_db
def test_a_key_whose_run_led_to_nothing_can_be_used_again() -> None:
    first = runs.enqueue(job="count", key="nightly")
    runs.cancel(first)
    second = runs.enqueue(job="count", key="nightly")
    assert second != first
    Run.objects.filter(pk=second.pk).update(status=Status.SUCCEEDED)
    assert runs.enqueue(job="count", key="nightly") == second


@pytest.mark.django_db(transaction=True)
def test_the_same_key_at_the_same_time_is_one_run() -> None:
    barrier, made = threading.Barrier(4), []

    def enqueue() -> None:
        connection.ensure_connection()
        barrier.wait()
        made.append(runs.enqueue(job="echo", key="once").pk)
        connection.close()

    threads = [threading.Thread(target=enqueue) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1


@pytest.mark.django_db
def test_again_queues_the_same_work_as_a_new_run() -> None:
    first = runs.enqueue(job="count", options={"to": 9}, project="shop", key="k")
    second = runs.again(first)
    assert (second.job, second.options, second.project, second.key) == ("count", first.options, "shop", None)
    assert second != first


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_away_does_not_stop_a_run_from_being_queued(monkeypatch, caplog) -> None:
    with app.connection_for_write("redis://127.0.0.1:1/0") as nowhere, nowhere.Producer() as producer:
        send = app.send_task
        monkeypatch.setattr(app, "send_task", lambda *args, **options: send(*args, **options, producer=producer))
        run = runs.enqueue(job="echo")
    assert Run.objects.get(pk=run.pk).status == "queued"
    assert "not announced" in caplog.text
