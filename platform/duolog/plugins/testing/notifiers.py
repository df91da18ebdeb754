# ruff: noqa: S101 - pytest tests by assert
"""The suite of notifiers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from duolog.plugins import guard
from duolog.plugins.options import as_json, build, marked
from duolog.plugins.points import Notifier
from duolog.plugins.testing.analysts import HOSTILE
from duolog.plugins.testing.suites import Conformance
from duolog.plugins.types import Alert, NotDelivered

STARTED, ENDED = (datetime(2026, 11, 25, hour, tzinfo=UTC) for hour in (10, 11))


class _Handler(BaseHTTPRequestHandler):
    """Keeps what it is sent, and answers as the server was told to."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer."""
        server: Any = self.server
        server.seen.append(self.rfile.read(int(self.headers["Content-Length"])))
        status, body, headers = server.answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


class NotifierConformance(Conformance):
    """Sends over HTTP to a server on loopback, whose address and `path` become its option `address`.

    `ok` is how a receiver says that it took a message, and `most` the bytes that one may have. A notifier that sends
    otherwise overrides `receiving`, which yields how to send and a list of what arrived.
    """

    plugin: ClassVar[type[Notifier]]
    address: ClassVar[str] = "url"
    path: ClassVar[str] = "/hook"
    ok: ClassVar[bytes] = b"ok"
    most: ClassVar[int] = 1 << 20

    def alert(self, number: int = 1, **values: Any) -> Alert:
        """Return an alert."""
        told: dict[str, Any] = {
            "id": f"{number}.1.firing", "project": "shop", "kind": "firing", "title": "timeout", "started": STARTED,
            "service": "checkout", "type": "超时异常", "category": "网络", "severity": "high", "score": 0.9, "count": 3,
            "summary": {"zh": "超时。", "en": "It timed out."},
            "labels": {"alertname": "DuologAnomaly", "project": "shop", "item": str(number)},
        }  # fmt: skip
        return Alert(**told | values)

    def built(self, origin: str) -> Any:
        """Return options that name a server."""
        return build(self.plugin.Options, {**self.options, self.address: origin + self.path})

    def test_options_survive_json(self) -> None:
        """Options are frozen, and come back from what is stored."""
        options = self.built("http://127.0.0.1:9")
        assert build(self.plugin.Options, as_json(options)) == options

    @contextmanager
    def receiving(
        self, status: int = 200, body: bytes | None = None, **headers: str
    ) -> Iterator[tuple[Any, list[bytes]]]:
        """Yield a notifier whose receiver answers so, and the bytes that arrive."""
        server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.daemon_threads, server.seen = True, []
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        server.answer = (status, self.ok if body is None else body, named)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield self.plugin(self.built(f"http://127.0.0.1:{server.server_port}")), server.seen
        finally:
            server.shutdown()
            server.server_close()

    def send(self, notifier: Notifier, alerts: Sequence[Alert]) -> None:
        """Send through the guard, as in production."""
        guard.call(notifier, "send", alerts)

    def test_secrets_are_declared_texts_and_stand_in_no_repr(self) -> None:
        """Whatever prints options prints no secret."""
        with self.receiving() as (notifier, _seen):
            secrets = marked(self.plugin.Options, "secret")
            assert {field.type for field in fields(self.plugin.Options) if field.name in secrets} <= {"str", str}
            told = repr(notifier.options)
            assert not [name for name in secrets if (value := getattr(notifier.options, name)) and value in told]

    def test_the_rate_makes_sense(self) -> None:
        """A burst is less than what a minute may hold."""
        assert 0 < self.plugin.rate.burst < self.plugin.rate.messages
        assert self.plugin.rate.quiet >= 0 and self.plugin.repeat >= 0

    def test_many_alerts_are_one_message(self) -> None:
        """Of bounded size, firing and resolved together; the first is in it."""
        over = self.alert(2, kind="resolved", ended=ENDED)
        for alerts in ([self.alert()], [over], [self.alert(), over], [self.alert(one) for one in range(500)]):
            with self.receiving() as (notifier, seen):
                self.send(notifier, alerts)
            assert len(seen) == 1
            assert 0 < len(seen[0]) <= self.most

    def test_odd_alerts_are_sent(self) -> None:
        """Without a severity, a summary, a service; with lines that speak to whoever reads them."""
        bare = Alert("1.1.firing", "shop", "firing", "timeout", STARTED)
        hostile = [self.alert(title=line, service=line, summary={"zh": line * 99}) for line in HOSTILE]
        for alerts in ([bare], hostile, [self.alert(title="长" * 9999, summary={"en": "x" * 99_999}, labels={})]):
            with self.receiving() as (notifier, seen):
                self.send(notifier, alerts)
            assert len(seen[0]) <= self.most

    @pytest.mark.parametrize(("status", "permanent"), [(500, False), (503, False), (400, True), (404, True)])
    def test_a_receiver_that_fails_is_told(self, status: int, permanent: bool) -> None:
        """With a reason, and whether to try again."""
        with self.receiving(status, b"") as (notifier, _seen), pytest.raises(NotDelivered) as told:
            self.send(notifier, [self.alert()])
        assert told.value.reason.strip()
        assert told.value.permanent is permanent

    def test_a_receiver_says_when_to_come_again(self) -> None:
        """`Retry-After` is passed on."""
        with self.receiving(429, b"", Retry_After="7") as (notifier, _seen), pytest.raises(NotDelivered) as told:
            self.send(notifier, [self.alert()])
        assert (told.value.retry_after, told.value.permanent) == (7, False)

    def test_a_receiver_that_is_not_there_may_come_back(self) -> None:
        """It is no fault of the channel's."""
        with self.receiving() as (notifier, _seen):
            pass
        with pytest.raises(NotDelivered) as told:
            self.send(notifier, [self.alert()])
        assert not told.value.permanent
