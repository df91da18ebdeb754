"""Who works here: each Celery worker writes a row about itself, keeps it fresh, and removes it when it leaves."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread
from typing import Any

from celery.signals import worker_ready, worker_shutdown
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models.functions import Now

from duolog.plugins import registry
from workers.models import Worker

logger = logging.getLogger(__name__)

FORGET = timedelta(days=7)  # a worker that was killed stays listed, so that somebody wonders; then it goes

_halt = Event()
_threads: list[Thread] = []


@worker_ready.connect
def _arrive(sender: Any, **_: Any) -> None:
    fields = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "device": device(),
        "queues": sorted(sender.app.amqp.queues.consume_from),
        "plugins": registry.inventory(),  # on the main thread: a fork in the midst of an import would break the child
    }
    _write(lambda: Worker.objects.filter(seen_at__lt=Now() - FORGET).delete())
    _threads.append(Thread(target=_stay, args=[sender.hostname, fields], name="inventory", daemon=True))
    _threads[-1].start()


@worker_shutdown.connect
def _leave(sender: Any, **_: Any) -> None:
    _halt.set()
    for thread in _threads:
        thread.join()
    _write(lambda: Worker.objects.filter(name=sender.hostname).delete())


def _stay(name: str, fields: dict[str, Any]) -> None:
    """Keep the row fresh; it is written whole each time, because somebody may have deleted it."""
    while not _halt.is_set():
        _write(lambda: Worker.objects.update_or_create(name=name, defaults=fields | {"seen_at": Now()}))
        _halt.wait(settings.WORKER_ALIVE / 3)


def _write(statement: Callable[[], object]) -> None:
    try:
        statement()
    except DatabaseError as error:
        logger.warning("this worker cannot report itself: %s", error)
    finally:
        # No connection is kept: pool processes are forked from this one at any time, and would inherit it.
        connection.close()


def device() -> str:
    """Return the GPU's name, or "cpu"; asks the driver's tool, because a prefork parent must not touch CUDA."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "" or not (tool := shutil.which("nvidia-smi")):
        return "cpu"
    query = [tool, "--query-gpu=name", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    return answer.stdout.split("\n", 1)[0].strip()[:80] or "cpu" if answer.returncode == 0 else "cpu"
