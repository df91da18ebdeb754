"""`duolog sweep`: bring lost runs back, ring for what waits, runs and streams, and tidy up."""

from __future__ import annotations

import logging
import signal
import time
from argparse import ArgumentParser
from math import inf
from threading import Event
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection
from django.utils.translation import gettext_lazy as _

from workers import leases, streams
from workers.supervise import CONNECTION_LOST

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often streams are looked after: a sequence that nothing more comes for closes so much later."""
TIDY_SECONDS = 3600.0


class Command(BaseCommand):
    help = str(_("Take back runs whose worker died and announce waiting runs again; any number of copies may run."))
    requires_system_checks = []  # they would import all that the web needs

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help=str(_("sweep once and exit")))

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        halt = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: halt.set())
        swept, tidied = -inf, -inf
        while not halt.is_set():
            try:
                streams.ring_due()
                if time.monotonic() >= swept + settings.RUN_SWEEP:
                    swept, found = time.monotonic(), leases.sweep()
                    if found.lost or found.rung:
                        logger.info("sweep lost=%d rung=%d", found.lost, found.rung)
                if time.monotonic() >= tidied + TIDY_SECONDS:
                    tidied = time.monotonic()
                    for each in streams.CHORES:
                        each()
            except CONNECTION_LOST as error:
                if once:
                    raise
                connection.close()
                logger.warning("the database does not answer, trying again: %s", error)
            if once:
                return
            halt.wait(min(settings.RUN_SWEEP, LOOK_SECONDS))
