"""What a worker does when the doorbell rings."""

from __future__ import annotations

from typing import Any

from workers import streams, supervise
from workers.celery import app


@app.task(name="workers.execute", bind=True)
def execute(self: Any, run_id: str) -> None:
    """Try one attempt at the run; a message that is late, lost or doubled does no harm."""
    supervise.execute(run_id, worker=self.request.hostname)


@app.task(name="workers.step")
def step(name: str, source: int) -> None:
    """Work off what is due of a stage for a source of lines."""
    streams.run(name, source)
