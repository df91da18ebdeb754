"""`duolog listen`: take what shippers send by other ways than HTTP."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import Error, connection
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from duolog.plugins.types import Refused, Store
from logs import receive
from logs.endpoints import BadEndpoint, Endpoint, parse
from logs.feeds import Commit
from logs.listen import Listener
from workers.console import DuologCommand

OVERLOADED = 503


class Command(DuologCommand):
    help = str(
        _(
            "Listen, until Ctrl-C, for syslog and GELF, whose lines go to the project, and for OTLP over gRPC, whose "
            "lines go where a call's token says. Syslog and GELF know no tokens: let only your own hosts reach them."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        known = "syslog+udp://HOST:PORT?source=NAME&zone=Asia/Shanghai, syslog+tcp://, syslog+tls://…?cert=FILE&key=FILE, gelf+udp://, gelf+tcp://, otlp+grpc://"  # noqa: E501
        parser.add_argument("url", nargs="*", help=str(_("%(known)s (default: DUOLOG_LISTEN)") % {"known": known}))

    def handle(self, *args: Any, project: str, json: bool, url: list[str], **options: Any) -> None:
        try:
            endpoints = [parse(each) for each in url or settings.LISTEN]
        except BadEndpoint as error:
            raise CommandError(str(error)) from error
        commits: dict[Endpoint, Commit] = {}
        for endpoint in endpoints:
            if endpoint.protocol != "otlp":
                sender = receive.Sender(project, receive.source(project, endpoint.source), 0, 0)
                commits[endpoint] = partial(receive.store, sender, endpoint.protocol, OVERLOADED)
        listener = Listener(endpoints, commit_of=commits.__getitem__, admit=admit, max_line=settings.MAX_LINE_BYTES)
        try:
            asyncio.run(self._listen(listener))
        except OSError as error:
            raise CommandError(str(error)) from error
        told = gettext("%(received)d messages received, %(stored)d lines stored, %(lost)d lost")
        values = {name: listener.counts[name] for name in ("received", "stored", "rejected", "dropped", "lost")}
        self.reply(values, told % values, json=json)

    async def _listen(self, listener: Listener) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await listener.start()
        await listener.run(stop)


def admit(about: Mapping[str, str], request: bytes) -> Store:
    """Return the store of a gRPC call by the token in its metadata; raises Refused."""
    try:
        sender = receive.authenticate(dict(about))
    except Error as error:
        connection.close()
        raise Refused(503, gettext("nothing can be stored at the moment"), retry_after=receive.WAIT) from error
    return partial(receive.store, sender, "otlp", OVERLOADED, request)
