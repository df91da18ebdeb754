"""What decoding costs a line, by protocol: `python benchmarks/receivers.py --help`.

Ours: from the unpacked body to checked columns and the answer, through the guard, with a store that keeps nothing. The
peer is the plain way to read the same body: the standard library's json, a line at a time, or the official protobuf
messages and `MessageToDict`; it decodes only. CPU time, so that a busy machine counts less; in turns; medians.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]

import cramjam  # noqa: E402
import msgpack  # noqa: E402
from google.protobuf.json_format import MessageToDict  # noqa: E402
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest  # noqa: E402

from duolog.plugins import guard, registry  # noqa: E402
from duolog.plugins.types import LogBatch, Receipt, Received  # noqa: E402

GOALS = {"ndjson": 3.0, "otlp": 4.0}
"""Microseconds a line."""
SECOND = 1_795_593_600


def texts(count: int) -> list[str]:
    """Return lines like an application's."""
    rng = random.Random(7)
    return [
        f"user {rng.randrange(9000)} 登录成功 from 10.0.{n % 7}.{n % 255} took {rng.randrange(900)}ms"
        for n in range(count)
    ]


def ndjson(lines: list[str]) -> bytes:
    """Six flat fields a line."""
    return b"\n".join(
        json.dumps(
            {"@timestamp": f"2026-11-25T08:{n // 60 % 60:02}:{n % 60:02}.123Z", "level": "INFO", "service": "shop",
             "message": text, "trace_id": f"{n:032x}", "host": "web-1"}, ensure_ascii=False,
        ).encode()
        for n, text in enumerate(lines)
    )  # fmt: skip


def filebeat(lines: list[str]) -> bytes:
    """Documents with objects in objects, as Filebeat's, each after its action."""
    documents = (
        {"@timestamp": f"2026-11-25T08:{n // 60 % 60:02}:{n % 60:02}.123Z", "message": text, "host": {"name": "web-1"},
         "log": {"offset": n, "file": {"path": "/var/log/shop.log"}}, "agent": {"type": "filebeat", "version": "8.1"}}
        for n, text in enumerate(lines)
    )  # fmt: skip
    return b"".join(b'{"create":{"_index":"logs"}}\n' + json.dumps(one).encode() + b"\n" for one in documents)


def otlp(lines: list[str]) -> bytes:
    """Four attributes, a trace id and a span id a line; one attribute in four is its own."""
    rng = random.Random(7)
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    for name, value in (("service.name", "shop"), ("host.name", "web-1"), ("k8s.pod.name", "shop-7f9")):
        group.resource.attributes.add(key=name).value.string_value = value
    scoped = group.scope_logs.add()
    scoped.scope.name = "app.orders"
    for n, text in enumerate(lines):
        record = scoped.log_records.add(
            time_unix_nano=SECOND * 10**9 + n,
            severity_number=9,
            trace_id=rng.randbytes(16),
            span_id=rng.randbytes(8),
        )
        record.body.string_value = text
        for name, value in (("thread.name", f"main-{n % 16}"), ("code.function", "login"), ("request.id", f"r{n}")):
            record.attributes.add(key=name).value.string_value = value
        record.attributes.add(key="code.lineno").value.int_value = n % 200
    return request.SerializeToString()


def loki(lines: list[str]) -> bytes:
    """One stream, without structured metadata."""
    from logs.receivers.loki import Push

    push = Push()
    stream = push.streams.add(labels=b'{app="shop", level="info", host="web-1"}')
    for n, text in enumerate(lines):
        entry = stream.entries.add(line=text.encode())
        entry.at.seconds, entry.at.nanos = SECOND, n
    return bytes(cramjam.snappy.compress_raw(push.SerializeToString()))


def by_line(body: bytes) -> None:
    """Decode JSON as most programs do."""
    for line in body.split(b"\n"):
        if line:
            json.loads(line)


def by_dict(body: bytes) -> None:
    """Decode OTLP as most programs do."""
    MessageToDict(ExportLogsServiceRequest.FromString(body))


def cases(lines: list[str]) -> dict[str, tuple[str, Received, Callable[[bytes], Any]]]:
    """Return receiver, request and peer by name."""

    def request(path: str, body: bytes, kind: str = "application/json") -> Received:
        return Received("POST", path, kind, {}, {}, body)

    packed = b"".join(msgpack.packb([SECOND + 0.5, {"log": text, "level": "INFO", "app": "shop"}]) for text in lines)
    pushed = {
        "streams": [{"stream": {"app": "shop"}, "values": [[f"{SECOND}{n:09}", text] for n, text in enumerate(lines)]}]
    }
    events = "".join(
        json.dumps({"time": SECOND, "host": "web-1", "sourcetype": "shop", "event": text}) for text in lines
    )
    messages = "\n".join(
        json.dumps(
            {"version": "1.1", "host": "web-1", "short_message": text, "timestamp": SECOND, "level": 6, "_app": "shop"}
        )
        for text in lines
    )
    protobuf = "application/x-protobuf"
    return {
        "ndjson": ("ingest", request("api/v1/ingest", ndjson(lines)), by_line),
        "msgpack": (
            "ingest",
            request("api/v1/ingest", packed, "application/msgpack"),
            lambda body: list(_unpack(body)),
        ),
        "bulk": ("elastic", request("_bulk", filebeat(lines)), by_line),
        "otlp": ("otlp", request("v1/logs", otlp(lines), protobuf), by_dict),
        "loki": ("loki", request("loki/api/v1/push", loki(lines), protobuf), lambda body: None),
        "loki json": ("loki", request("loki/api/v1/push", json.dumps(pushed).encode()), by_line),
        "splunk": ("splunk", request("services/collector", events.replace("}{", "}\n{").encode()), by_line),
        "gelf": ("gelf", request("gelf", messages.encode()), by_line),
    }


def _unpack(body: bytes) -> Any:
    unpacker = msgpack.Unpacker()
    unpacker.feed(body)
    return unpacker


def main() -> int:
    """Measure, print, and return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    lines = texts(arguments.lines)
    told: dict[str, dict[str, float]] = {}

    def store(batch: LogBatch) -> Receipt:
        assert len(batch.texts) == len(lines), batch.rejected[:1]
        return Receipt("r", len(batch.texts), 0)

    print(f"{'':12}{'ours':>10}{'plain way':>12}   microseconds of CPU a line")
    for name, (receiver, request, peer) in cases(lines).items():
        plugin = registry.create("duolog.receivers", receiver, {})
        ours, plain = [], []
        for _ in range(arguments.rounds):
            began = time.process_time()
            guard.call(plugin, "handle", request, store)
            ours.append(time.process_time() - began)
            began = time.process_time()
            peer(request.body)
            plain.append(time.process_time() - began)
        each, theirs = (statistics.median(took) / len(lines) * 1e6 for took in (ours, plain))
        told[name] = {"ours": round(each, 2), "plain": round(theirs, 2)}
        goal = f"   (goal: {GOALS[name]:g})" if name in GOALS else ""
        print(f"{name:12}{each:10.2f}{theirs:12.2f}{goal}")
    if arguments.json:
        print(json.dumps({"microseconds_a_line": told, "goals": GOALS}))
    return int(any(told[name]["ours"] > most for name, most in GOALS.items()))


if __name__ == "__main__":
    sys.exit(main())
