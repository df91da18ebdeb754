"""Reports that are being written, for people who watch."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from django.db import DatabaseError, InterfaceError, connection

from analysis.models import AnomalyReport, Finding
from workers.context import clean
from workers.models import Run

logger = logging.getLogger(__name__)

EVERY = 0.5
"""Seconds between two writes of one draft."""


class Drafts:
    """The `Draft` of one batch: a row a case, which the run's end replaces.

    Analysts may call it from several threads. What it writes is for the eye only, so nothing fails with it.
    """

    def __init__(self, findings: Sequence[Finding], *, analyst: str, run: Run) -> None:
        rows = [AnomalyReport(finding=finding, analyst=analyst, run=run) for finding in findings]
        self._rows = AnomalyReport.objects.bulk_create(rows)
        self._due = [0.0] * len(rows)
        self._home = threading.get_ident()

    def __call__(self, number: int, text: str) -> None:
        """Show what has been written of a case so far, if it is time again."""
        now = time.monotonic()
        if now < self._due[number]:
            return
        self._due[number] = now + EVERY
        try:
            AnomalyReport.objects.filter(pk=self._rows[number].pk).update(draft=clean(text))
        except (DatabaseError, InterfaceError) as error:
            logger.warning("run=%s: a draft is not shown: %s", self._rows[number].run_id, error)
        finally:
            if threading.get_ident() != self._home:
                connection.close()
