"""An alert leaves by a real worker of the queue that alerts have to themselves, as the stack starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from alert_receiver import receiving
from alerting import item, states, webhook

from analysis import alerts, deliveries
from duolog.stack import QUEUES, _commands
from workers import streams
from workers.models import Worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def alerting(transactional_db: None, until: Any, tmp_path: Path) -> Iterator[None]:
    """The worker of the queue of alerts, on the test database."""
    from django.conf import settings
    from django.db import connection

    url = urlsplit(settings.SERVICES.database_url)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    environment = os.environ | {
        "DATABASE_URL": url, "REDIS_URL": settings.CELERY_BROKER_URL, "DUOLOG_PRIVATE_ADDRESSES": "127.0.0.1",
        "DUOLOG_LANGUAGE": "en",
    }  # fmt: skip
    _python, *arguments = _commands(8000)[f"worker-{deliveries.QUEUE}"]
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, *arguments], cwd=Path(__file__).parents[2], env=environment, stdout=log, stderr=log
        )
    try:
        until(lambda: Worker.objects.filter(pid=worker.pid).exists() or worker.poll() is not None, seconds=60)
        assert worker.poll() is None, (tmp_path / "worker.log").read_text()
        yield
    finally:
        worker.terminate()
        worker.wait(30)


def test_an_alert_is_sent_when_it_is_committed(alerting: None, until: Any) -> None:
    assert deliveries.QUEUE in QUEUES
    with receiving() as receiver:
        channel = webhook(receiver.url)
        alerts.notify([item(), item()])
        until(lambda: states(channel) == [("firing", "sent")] * 2, seconds=30)
        # And without a doorbell: the sweeper asks.
        rows = list(channel.deliveries.all())
        rows[0].state, rows[0].due_at = "waiting", rows[0].created_at
        rows[0].save()
        assert streams.ring_due() == 1
        until(lambda: states(channel) == [("firing", "sent")] * 2, seconds=30)
    assert [len(seen.json["alerts"]) for seen in receiver.seen] == [2, 1]
