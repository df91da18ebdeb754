"""What a worker does when the doorbell rings."""

from __future__ import annotations

import logging
from typing import Any

from django.db import connection

from workers import streams, supervise
from workers.celery import app
from workers.supervise import CONNECTION_LOST

logger = logging.getLogger(__name__)


@app.task(name="workers.execute", bind=True)
def execute(self: Any, run_id: str) -> None:
    """Try one attempt at the run; a message that is late, lost or doubled does no harm."""
    supervise.execute(run_id, worker=self.request.hostname)


@app.task(name="workers.step")
def step(name: str, source: int) -> None:
    """Work off what is due of a stage for a source of lines; while the database is away, that is the sweeper's care."""
    try:
        streams.run(name, source)
    except CONNECTION_LOST as error:
        # Or the next step would find a connection that is broken in the midst of its transaction.
        connection.close()
        logger.warning("stage=%s source=%d: the database does not answer: %s", name, source, error)
