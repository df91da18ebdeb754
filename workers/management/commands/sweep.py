"""`duolog sweep`: bring lost runs back and ring for waiting ones."""

from __future__ import annotations

import logging
import signal
from argparse import ArgumentParser
from threading import Event
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection
from django.utils.translation import gettext_lazy as _

from workers import leases
from workers.supervise import CONNECTION_LOST

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = str(_("Take back runs whose worker died and announce waiting runs again; any number of copies may run."))
    requires_system_checks = []  # they would import all that the web needs

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help=str(_("sweep once and exit")))

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        halt = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: halt.set())
        while not halt.is_set():
            try:
                swept = leases.sweep()
            except CONNECTION_LOST as error:
                if once:
                    raise
                connection.close()
                logger.warning("the database does not answer, trying again: %s", error)
            else:
                if swept.lost or swept.rung:
                    logger.info("sweep lost=%d rung=%d", swept.lost, swept.rung)
            if once:
                return
            halt.wait(settings.RUN_SWEEP)
