"""Splunk's HTTP event collector: `POST /services/collector`, events or raw lines."""

from __future__ import annotations

from typing import Any

from duolog.plugins.points import Receiver
from duolog.plugins.types import BadRecord, Reason, Received, Refused, Reply, Store
from logs.engine.records import Lines
from logs.receivers.common import ReceiverOptions, json_values, reply

METADATA = ("host", "source", "sourcetype", "index")
SUCCESS = {"text": "Success", "code": 0}
CODES = {401: 2, 403: 4, 404: 404, 429: 9, 503: 9}
"""HEC's own codes by HTTP status; else 6, invalid data format."""
ACK_OFF = {"text": "ACK is disabled", "code": 14}


class Splunk(Receiver):
    """Splunk forwarders and logging libraries, Fluent Bit `splunk`, Vector `splunk_hec_logs`, Docker's `splunk`."""

    Options = ReceiverOptions
    paths = (r"services/collector(?:/(?:event|raw|health|ack))?(?:/1\.0)?",)
    overloaded = 503

    def handle(self, request: Received, store: Store) -> Reply:
        """Answer `Success`, also where events were quarantined."""
        path = request.path.removesuffix("/1.0")
        if path.endswith("/health"):
            return reply(200, {"text": "HEC is healthy", "code": 17})
        if path.endswith("/ack"):
            return reply(400, ACK_OFF)
        if request.method == "OPTIONS":  # Docker's driver asks so whether anybody is there
            return Reply(200)
        if request.method != "POST":
            raise Refused(405, Reason("use POST"))
        lines = Lines()
        if path.endswith("/raw"):
            _raw(lines, request)
        else:
            values = json_values(request.body)
            if values and all(isinstance(value, BadRecord) for value in values):
                raise Refused(400, Reason("not valid JSON: %(error)s", error=values[0].reason))
            for value in values:
                _event(lines, value)
        if not len(lines):
            return reply(400, {"text": "No data", "code": 5})
        store(lines.finish(self.options.max_line))
        return reply(200, SUCCESS)

    def refuse(self, request: Received, refused: Refused) -> Reply:
        """Answer as Splunk does: a text, and a code of its own."""
        headers = {"Retry-After": str(refused.retry_after)} if refused.retry_after else {}
        return reply(refused.status, {"text": str(refused.reason), "code": CODES.get(refused.status, 6)}, headers)


def _event(lines: Lines, value: Any) -> None:
    """Add what `event` holds; what the envelope says stands beside it where the event has no field of that name."""
    if isinstance(value, BadRecord):
        return lines.refuse(Reason("not valid JSON: %(error)s", error=value.reason), value.excerpt)
    if not isinstance(value, dict):
        return lines.refuse(Reason("not a JSON object"), repr(value))
    event = value.get("event")
    if event in (None, "", {}):
        return lines.refuse(Reason("there is no event in it"), repr(value))
    record = event if isinstance(event, dict) else {"message": event}
    fields = value.get("fields")
    about = {name: value[name] for name in METADATA if name in value} | (fields if isinstance(fields, dict) else {})
    lines.add({**about, **record}, value.get("time"), str(value.get("sourcetype") or ""))
    return None


def _raw(lines: Lines, request: Received) -> None:
    about = {name: request.query[name] for name in METADATA if request.query.get(name)}
    service = request.query.get("sourcetype", "")
    for line in request.body.decode("utf-8", "surrogateescape").split("\n"):
        if line.strip():
            lines.add({**about, "message": line.rstrip("\r")}, request.query.get("time"), service)
