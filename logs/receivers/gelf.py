"""GELF over HTTP: `POST /gelf` (Graylog)."""

from __future__ import annotations

from duolog.plugins.points import Receiver
from duolog.plugins.types import BadRecord, Reason, Received, Refused, Reply, Store
from logs.engine import gelf
from logs.engine.records import Lines
from logs.receivers.common import ReceiverOptions, json_values


class Gelf(Receiver):
    """Graylog's own libraries, Fluent Bit `gelf`, Docker by way of a proxy."""

    Options = ReceiverOptions
    paths = (r"gelf/?",)

    def handle(self, request: Received, store: Store) -> Reply:
        """Answer 202 to one message, or to several in a row."""
        if request.method != "POST":
            raise Refused(405, Reason("use POST"))
        lines = Lines(gelf.NAMES)
        values = json_values(request.body)
        if not values or all(isinstance(value, BadRecord) for value in values):
            error = values[0].reason if values else "it is empty"
            raise Refused(400, Reason("not valid JSON: %(error)s", error=error))
        for value in values:
            gelf.add(lines, value)
        store(lines.finish(self.options.max_line))
        return Reply(202)
