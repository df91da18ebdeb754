"""Receivers of alerts on loopback: an HTTP server that keeps every byte, and answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from duolog.plugins.types import Alert


@dataclass(frozen=True)
class Seen:
    """One request, as it stood on the wire."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Says:
    """An answer."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Receiver:
    """Where it listens, what it was sent, and what it answers: one after the other, the last one for ever."""

    url: str = ""
    answers: list[Says] = field(default_factory=lambda: [Says()])
    seen: list[Seen] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    gate: threading.Event | None = None

    def answer(self, request: Seen) -> Says:
        with self.lock:
            self.seen.append(request)
            said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if self.gate:
            self.gate.wait(20)
        return said


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver: Receiver = self.server.receiver  # type: ignore[attr-defined]
        said = receiver.answer(Seen(self.command, self.path, dict(self.headers), body))
        self.send_response(said.status)
        for name, value in {"Content-Length": str(len(said.body)), **said.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said.body)

    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def receiving(*answers: Says) -> Iterator[Receiver]:
    """Serve until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}", list(answers) or [Says()])
    server.receiver = receiver  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


def alert(number: int = 1, **values: Any) -> Alert:
    """An alert as the platform makes them."""
    told: dict[str, Any] = {
        "id": f"{number}.1.firing", "project": "shop", "kind": "firing", "title": "timeout (超时异常)",
        "started": datetime(2026, 11, 25, 10, 30, tzinfo=UTC), "service": "checkout", "type": "超时异常",
        "category": "网络", "severity": "high", "score": 0.93, "count": 12,
        "url": f"https://duolog.example.com/admin/analysis/finding/{number}/change/",
        "summary": {"zh": "结算服务调用库存服务超时。", "en": "Checkout waits for the stock service."},
        "labels": {"alertname": "DuologAnomaly", "project": "shop", "item": str(number), "severity": "high"},
    }  # fmt: skip
    return Alert(**told | values)
