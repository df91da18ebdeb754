"""Everyday use of the stack while the demo watches it: people read pages, programs call the API, runs come and go."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread

from django.db import DatabaseError, connection

from workers import runs

REQUEST_SECONDS = 0.5
RUN_SECONDS = 4


class Traffic(Thread):
    """A steady load: a few requests a second, and now and then a run."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(name="traffic", daemon=True)
        self._url, self._token = url, token
        self._halt = Event()
        self.queue_run: Callable[[], object] | None = None
        """Called every few seconds once it is set."""

    def run(self) -> None:
        """Load the stack until stopped; what fails while it is broken is its own business."""
        pages = ["admin/login/", "api/v1/runs/", "api/v1/datasets/", "api/v1/findings/", "api/v1/model-versions/"]
        turns_a_run = round(RUN_SECONDS / REQUEST_SECONDS)
        turn = 0
        while not self._halt.wait(REQUEST_SECONDS):
            turn += 1
            self._request(pages[turn % len(pages)])
            if self.queue_run and turn % turns_a_run == 0:
                try:
                    self.queue_run()
                except DatabaseError:  # Postgres was just killed under us
                    connection.close()
        connection.close()

    def stop(self) -> None:
        """Stop the load."""
        self._halt.set()
        self.join()

    def _request(self, page: str) -> None:
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self._url}/{page}", headers={"Authorization": f"Bearer {self._token}"}
        )
        with suppress(OSError):  # HTTP errors are OSErrors too
            urllib.request.urlopen(request, timeout=10).read()  # noqa: S310


def evaluations(model: str, dataset: str) -> Callable[[], object]:
    """Return what queues an evaluation: work that changes nothing but a version's figures."""
    return lambda: runs.enqueue(job="evaluate", options={"model": model, "dataset": dataset})
