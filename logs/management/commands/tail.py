"""`duolog tail`: send the lines of files as they are written, for people without a shipper."""

from __future__ import annotations

import fcntl
import time
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from duolog.plugins.types import LogBatch, Receipt
from logs import receive
from logs.tail import POLL, Tail
from workers.console import DuologCommand


class Command(DuologCommand):
    help = str(
        _(
            "Store the lines of log files and all that are written to them, until Ctrl-C. Files may be rotated or "
            "truncated; a position is kept for each, so that the command goes on where it was stopped."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="+", metavar="FILE", help=str(_("log file; it may come into being later")))
        parser.add_argument(
            "--source", default="files", help=str(_("source that the lines go to (default: %(default)s)"))
        )
        parser.add_argument("--service", default="", help=str(_("service of the lines (default: the file's name)")))
        parser.add_argument(
            "--zone",
            default=settings.TIME_ZONE,
            help=str(_("time zone of times that name none (default: %(default)s)")),
        )
        parser.add_argument("--once", action="store_true", help=str(_("stop at the end of the files")))

    def handle(
        self,
        *args: Any,
        project: str,
        json: bool,
        file: list[str],
        source: str,
        service: str,
        zone: str,
        once: bool,
        **options: Any,
    ) -> None:
        try:
            ZoneInfo(zone)
        except (ValueError, ZoneInfoNotFoundError) as error:
            raise CommandError(gettext("there is no time zone %(zone)s") % {"zone": zone}) from error
        folder = settings.HOME / "tail"
        folder.mkdir(parents=True, exist_ok=True)
        state = folder / f"{project}-{source}.json"
        sender = receive.Sender(project, receive.source(project, source), 0, 0)
        with (folder / f"{state.stem}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                text = gettext("another `duolog tail` follows files for this source; give this one another --source")
                raise CommandError(text) from error
            paths = [str(Path(each).absolute()) for each in file]
            tail = Tail(
                paths, partial(_commit, sender), state, service=service, zone=zone, max_line=settings.MAX_LINE_BYTES
            )
            count = 0
            try:
                while (step := tail.step(last=once)) or not once:
                    count += step
                    if not step:
                        time.sleep(POLL)
            except KeyboardInterrupt:
                pass
            finally:
                tail.close()
        self.reply({"lines": count}, gettext("%(count)d lines stored") % {"count": count}, json=json)


def _commit(sender: receive.Sender, key: bytes, batch: LogBatch) -> Receipt:
    return receive.store(sender, "tail", 503, key, batch)
