"""Elasticsearch's bulk API, and what clients ask of a server before they use it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from duolog.plugins.points import Receiver
from duolog.plugins.types import Reason, Received, Refused, Reply, Store
from logs.engine.records import Lines, refuse_many
from logs.receivers.common import WRONG, ReceiverOptions, reply

PRODUCT = {"X-Elastic-Product": "Elasticsearch"}
"""Without it official clients and Logstash talk to nobody."""
BULK = re.compile(r"(?:[^/]+/)?(?:_doc/)?_bulk")
ACTIONS = ("index", "create", "update", "delete")
REALM = {"WWW-Authenticate": 'Basic realm="security" charset="UTF-8"'}
LICENSE = {"license": {"uid": "0", "type": "basic", "status": "active", "expiry_date_in_millis": 4_000_000_000_000}}
SETTINGS = r"_index_template|_component_template|_template|_ilm|_data_stream|_ingest|_alias|_aliases|_logstash|logstash"
"""What shippers set up before they send; there is nothing to set up here."""
ERRORS = {
    400: "illegal_argument_exception",
    401: "security_exception",
    403: "security_exception",
    413: "content_too_long_exception",
    429: "es_rejected_execution_exception",
}
"""Types of errors by HTTP status."""


@dataclass(frozen=True)
class ElasticOptions(ReceiverOptions):
    """`version` is what clients are told; Beats refuse a server older than themselves."""

    version: str = "8.17.0"


class _Target(msgspec.Struct, rename={"index": "_index", "id": "_id"}):
    index: str | None = None
    id: str | int | None = None


class _Action(msgspec.Struct):
    index: _Target | None = None
    create: _Target | None = None
    update: _Target | None = None
    delete: _Target | None = None


_action = msgspec.json.Decoder(_Action)
_document = msgspec.json.Decoder()


class Elastic(Receiver):
    """Filebeat, Logstash, Fluent Bit `es`, Vector, the Collector's exporter, rsyslog, the official clients."""

    Options = ElasticOptions
    paths = (
        "",
        r"(?:[^/]+/)?(?:_doc/)?_bulk/?",
        r"_license/?|_xpack/?|_nodes(?:/.*)?|_cluster/health(?:/.*)?|_cat/.*",
        rf"(?:{SETTINGS})(?:[/-].*)?",
    )

    def handle(self, request: Received, store: Store) -> Reply:
        """Answer one item an action, 201 also for what was quarantined: mixed answers make Fluent Bit lose lines."""
        path = request.path.strip("/")
        if BULK.fullmatch(path):
            if request.method not in ("POST", "PUT"):
                raise Refused(405, Reason("use POST"))
            return self._bulk(request, store, path)
        if request.method == "HEAD":
            return Reply(200, headers=PRODUCT)
        return reply(200, self._about(path, request.method), PRODUCT)

    def refuse(self, request: Received, refused: Refused) -> Reply:
        """Answer as Elasticsearch tells of an error."""
        kind = ERRORS.get(refused.status, "exception")
        headers = {"Retry-After": str(refused.retry_after)} if refused.retry_after else {}
        headers |= REALM if refused.status == 401 else {}
        cause = {"type": kind, "reason": str(refused.reason)}
        error = {"error": {"root_cause": [cause], **cause}, "status": refused.status}
        return reply(refused.status, error, PRODUCT | headers)

    def _about(self, path: str, method: str) -> Mapping[str, Any]:
        if not path:
            return {
                "name": "duolog",
                "cluster_name": "duolog",
                "cluster_uuid": "duolog",
                "version": {
                    "number": self.options.version,
                    "build_flavor": "default",
                    "build_type": "docker",
                    "lucene_version": "9.12.0",
                    "minimum_wire_compatibility_version": "7.17.0",
                    "minimum_index_compatibility_version": "7.0.0",
                },
                "tagline": "You Know, for Search",
            }
        if path == "_license":
            return LICENSE
        if path == "_xpack":
            features = {name: {"available": False, "enabled": False} for name in ("ilm", "monitoring", "security")}
            return {"license": LICENSE["license"], "features": features}
        if path.startswith("_cluster"):
            return {"cluster_name": "duolog", "status": "green", "timed_out": False, "number_of_nodes": 1}
        if path.startswith("_nodes"):
            return {"cluster_name": "duolog", "nodes": {}}
        return {} if method == "GET" else {"acknowledged": True}

    def _bulk(self, request: Received, store: Store, path: str) -> Reply:
        actions, lines = self._actions(request.body)
        if not actions:
            raise Refused(400, Reason("request body is required"))
        receipt = "0"
        if len(lines):
            receipt = store(lines.finish(self.options.max_line)).id
        index = path.rpartition("_bulk")[0].strip("/").removesuffix("/_doc") or "logs"
        items = _items(actions, index, receipt)
        return Reply(200, b'{"took":1,"errors":false,"items":[' + items + b"]}", headers=PRODUCT)

    def _actions(self, body: bytes) -> tuple[list[tuple[str, _Target]], Lines]:
        """Return what is asked for in order, and the lines of the documents; raises Refused (400) where that breaks."""
        rows = body.split(b"\n")
        refuse_many(len(rows) // 2)
        actions: list[tuple[str, _Target]] = []
        lines = Lines()
        known: dict[bytes, tuple[str, _Target]] = {}  # without ids an action is the same every time
        each = iter(rows)
        for row in each:
            if not row or row.isspace():
                continue
            action = known.get(row)
            if action is None:
                action = known[row] = _read_action(row, len(actions) + 1)
            actions.append(action)
            if action[0] == "delete":
                continue
            document = next(each, None)
            if document is None:
                raise Refused(400, Reason("action %(number)d has no document", number=len(actions)))
            try:
                record = _document.decode(document)
            except WRONG as error:
                lines.refuse(Reason("not valid JSON: %(error)s", error=str(error)), document)
                continue
            if action[0] == "update" and isinstance(record, dict):
                record = record.get("doc", record.get("upsert"))
            lines.add(record)
        return actions, lines


def _read_action(row: bytes, number: int) -> tuple[str, _Target]:
    try:
        action = _action.decode(row)
    except WRONG as error:
        reason = Reason("action %(number)d makes no sense: %(error)s", number=number, error=str(error))
        raise Refused(400, reason) from error
    for name in ACTIONS:
        if target := getattr(action, name):
            return name, target
    known = ", ".join(ACTIONS)
    raise Refused(400, Reason("action %(number)d is none of %(known)s", number=number, known=known))


def _items(actions: list[tuple[str, _Target]], index: str, receipt: str) -> bytes:
    """Return the items of an answer, in the order of keys that Elasticsearch has; Fluent Bit reads no further."""
    text = msgspec.json.encode
    done = {"update": (b"updated", b"200"), "delete": (b"deleted", b"200")}
    names: dict[str | None, bytes] = {None: text(index)}
    items = []
    for number, (name, target) in enumerate(actions):
        where = names.get(target.index)
        if where is None:
            where = names[target.index] = text(target.index)
        identity = text(f"{receipt}-{number}" if target.id is None else str(target.id))
        result, status = done.get(name, (b"created", b"201"))
        items.append(
            b'{"%s":{"_index":%s,"_id":%s,"_version":1,"result":"%s","_shards":{"total":1,"successful":1,"failed":0},'
            b'"_seq_no":%d,"_primary_term":1,"status":%s}}' % (name.encode(), where, identity, result, number, status)
        )
    return b",".join(items)
