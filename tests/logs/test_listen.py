"""The listener: batches, back-pressure, overload, and an orderly end."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from shipping import Memory, listening

from duolog.plugins.types import LogBatch, Receipt, Refused
from logs import feeds
from logs.endpoints import BadEndpoint, parse
from logs.listen import Listener

Started = AbstractContextManager[tuple[Listener, dict[str, int]]]


@pytest.fixture
def store() -> Memory:
    return Memory()


@pytest.fixture
def listen(store: Memory) -> Callable[..., Started]:
    def admit(about: Mapping[str, str], request: bytes) -> Memory:
        if about.get("authorization") == "Bearer wrong":
            raise Refused(401, "who are you")
        return store

    return lambda *urls, **options: listening(*urls, store_of=lambda endpoint: store, admit=admit, **options)


def udp(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        for each in datagrams:
            plug.sendto(each, ("127.0.0.1", port))


def tcp(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as stream:
        stream.sendall(data)


def test_lines_of_all_sockets(listen: Callable[..., Started], store: Memory, until: Callable[..., None]) -> None:
    urls = ("syslog+udp://127.0.0.1:0", "syslog+tcp://127.0.0.1:0", "gelf+udp://127.0.0.1:0", "gelf+tcp://127.0.0.1:0")
    with listen(*urls) as (listener, ports):
        udp(ports["syslog+udp"], b"<13>one\n<13>two", b"<13>three")
        tcp(ports["syslog+tcp"], b"<13>four\n8 <13>five<13>six")
        udp(ports["gelf+udp"], b'{"short_message":"seven"}')
        tcp(ports["gelf+tcp"], b'{"short_message":"eight"}\0nothing\0')
        until(lambda: sum(map(len, (store.texts, store.rejected))) == 9)
    assert sorted(store.texts) == sorted(["one", "two", "three", "four", "five", "six", "seven", "eight"])
    assert store.rejected[0].startswith("not valid JSON")
    assert dict(listener.counts) == {"received": 9, "stored": 8, "rejected": 1, "lost": 0, "dropped": 0}


def test_many_lines_make_few_batches(listen: Callable[..., Started], store: Memory, until: Callable[..., None]) -> None:
    with listen("syslog+tcp://127.0.0.1:0") as (_, ports):
        tcp(ports["syslog+tcp"], b"".join(b"<13>line %d\n" % number for number in range(5000)))
        until(lambda: len(store.texts) == 5000)
    assert store.texts == [f"line {number}" for number in range(5000)]
    assert len(store.batches) <= 8
    assert max(len(batch.texts) for batch in store.batches) <= feeds.BATCH


def test_what_has_come_is_stored_at_the_end(
    listen: Callable[..., Started], store: Memory, until: Callable[..., None]
) -> None:
    with listen("syslog+tcp://127.0.0.1:0") as (listener, ports):
        stream = socket.create_connection(("127.0.0.1", ports["syslog+tcp"]))
        stream.sendall(b"<13>whole\n")
        until(lambda: listener.counts["received"] == 1)
    stream.close()
    assert store.texts == ["whole"]


def test_an_overloaded_store_is_asked_again(
    listen: Callable[..., Started], store: Memory, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "AGAIN", 0.01)
    store.refusing = Refused(503, "busy")
    with listen("syslog+udp://127.0.0.1:0") as (listener, ports):
        udp(ports["syslog+udp"], b"<13>one", b"<13>two")
        until(lambda: listener.counts["received"] == 2)
        store.refusing = None
        until(lambda: len(store.texts) == 2)
    assert listener.counts["lost"] == 0


def test_what_is_refused_for_good_is_counted(
    listen: Callable[..., Started], store: Memory, until: Callable[..., None]
) -> None:
    store.refusing = Refused(400, "no")
    with listen("syslog+udp://127.0.0.1:0") as (listener, ports):
        udp(ports["syslog+udp"], b"<13>one")
        until(lambda: listener.counts["lost"] == 1)


class Held(Memory):
    """A store that waits until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def __call__(self, batch: LogBatch) -> Receipt:
        assert self.go.wait(30)
        return super().__call__(batch)


def test_a_slow_store_holds_senders_back(until: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP is read no further, so that its sender blocks and nothing is lost; datagrams are dropped and counted."""
    monkeypatch.setattr(feeds, "WAITING", 100)
    store = Held()
    urls = ("syslog+tcp://127.0.0.1:0", "syslog+udp://127.0.0.1:0?source=other")
    with listening(*urls, store_of=lambda endpoint: store, admit=lambda *_: store) as (listener, ports):
        lines = 20_000
        with socket.create_connection(("127.0.0.1", ports["syslog+tcp"])) as stream:
            data = memoryview(b"".join(b"<13>line %06d%s\n" % (number, b"." * 1000) for number in range(lines)))
            stream.setblocking(False)
            sent = 0
            blocked = 0
            while sent < len(data) and blocked < 20:
                try:
                    sent += stream.send(data[sent : sent + 65536])
                    blocked = 0
                except BlockingIOError:
                    blocked += 1
                    threading.Event().wait(0.02)
            assert sent < len(data)
            udp(ports["syslog+udp"], *(b"<13>datagram %d" % number for number in range(1500)))
            until(lambda: listener.counts["dropped"] > 0)
            store.go.set()
            stream.setblocking(True)
            stream.sendall(data[sent:])
        until(lambda: sum(text.startswith("line") for text in store.texts) == lines, seconds=60)
    received = [text[:11] for text in store.texts if text.startswith("line")]
    assert received == [f"line {number:06d}" for number in range(lines)]
    datagrams = sum(text.startswith("datagram") for text in store.texts)
    assert datagrams + listener.counts["dropped"] == 1500


def export(port: int, token: str = "right", size: int = 1, packed: bool = False) -> object:
    request = ExportLogsServiceRequest()
    scoped = request.resource_logs.add().scope_logs.add()
    for text in ("one", "nul \0"):
        scoped.log_records.add().body.string_value = text * size
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_send_message_length", -1)]) as channel:
        stub = logs_service_pb2_grpc.LogsServiceStub(channel)
        how = grpc.Compression.Gzip if packed else grpc.Compression.NoCompression
        return stub.Export(request, metadata=[("authorization", f"Bearer {token}")], compression=how, timeout=30)


def test_grpc(listen: Callable[..., Started], store: Memory) -> None:
    with listen("otlp+grpc://127.0.0.1:0") as (_, ports):
        answer = export(ports["otlp+grpc"])
        assert answer.partial_success.rejected_log_records == 1  # type: ignore[attr-defined]
        assert store.texts == ["one"]


@pytest.mark.parametrize("status", [429, 503])
def test_grpc_overload_says_when_to_come_again(listen: Callable[..., Started], store: Memory, status: int) -> None:
    store.refusing = Refused(status, "busy", retry_after=7)
    with listen("otlp+grpc://127.0.0.1:0") as (_, ports):
        with pytest.raises(grpc.RpcError) as told:
            export(ports["otlp+grpc"])
        error: grpc.Call = told.value  # type: ignore[assignment]
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        details = Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])  # type: ignore[arg-type]
        info = RetryInfo()
        assert details.details[0].Unpack(info)
        assert info.retry_delay.seconds == 7


def test_grpc_refuses_for_good(listen: Callable[..., Started]) -> None:
    with listen("otlp+grpc://127.0.0.1:0") as (_, ports):
        with pytest.raises(grpc.RpcError) as told:
            export(ports["otlp+grpc"], token="wrong")
        assert told.value.code() == grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]
        for packed in (False, True):
            with pytest.raises(grpc.RpcError) as told:
                export(ports["otlp+grpc"], size=18 << 20, packed=packed)
            assert told.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]


def test_a_port_that_is_taken_is_named(listen: Callable[..., Started]) -> None:
    with listen("syslog+tcp://127.0.0.1:0") as (_, ports):
        url = f"syslog+tcp://127.0.0.1:{ports['syslog+tcp']}"
        with pytest.raises(OSError, match=re.escape(url)), listen(url):
            pass


def test_a_store_that_breaks_ends_the_listener(until: Callable[..., None]) -> None:
    """Loudly: whoever watches over it starts it again."""

    def broken(batch: LogBatch) -> Receipt:
        raise ZeroDivisionError

    ended = threading.Event()
    with listening("syslog+udp://127.0.0.1:0", store_of=lambda _: broken, admit=lambda *_: broken) as (listener, ports):
        listener._threads.submit(ended.set)
        udp(ports["syslog+udp"], b"<13>one")
        until(lambda: listener._threads._shutdown)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://x", "known are syslog"),
        ("syslog+udp://127.0.0.1:99999", "out of range"),
        ("syslog+udp://127.0.0.1?zone=Mars", "Mars"),
        ("gelf+udp://127.0.0.1?zone=UTC", "unknown option zone"),
        ("syslog+tls://127.0.0.1", "add .cert=FILE"),
        ("syslog+tls://127.0.0.1?cert=/nowhere", "No such file"),
    ],
)
def test_endpoints_that_make_no_sense(url: str, reason: str) -> None:
    with pytest.raises(BadEndpoint, match=reason):
        parse(url)


def test_endpoints() -> None:
    endpoint = parse("syslog+udp://[::1]?zone=Asia/Shanghai&source=network")
    assert (endpoint.host, endpoint.port, endpoint.zone, endpoint.source) == ("::1", 5514, "Asia/Shanghai", "network")
    assert str(endpoint) == "syslog+udp://[::1]:5514"
    assert parse("gelf+tcp://0.0.0.0").source == "gelf"
    assert json.dumps(str(parse("otlp+grpc://"))) == '"otlp+grpc://127.0.0.1:4317"'
