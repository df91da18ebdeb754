"""Listener and database die while clients send: what they were told is there, once; TCP waits for Postgres."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import grpc
import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from duolog import access
from logs.engine import chunks

BATCH = 20


def free_port() -> int:
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        return int(plug.getsockname()[1])


@pytest.fixture
def listener(_stack: Any, until: Callable[..., None]) -> Iterator[Callable[..., None]]:
    """Start the listener on some URLs, and wait until it listens."""

    def start(*urls: str) -> None:
        begin = _stack.log("listener").stat().st_size if _stack.log("listener").exists() else 0
        _stack._start("listener", "duolog", "listen", "--project", "faults", *urls)

        def listens() -> bool:
            assert _stack.processes["listener"].poll() is None, _stack.log("listener").read_text()[-3000:]
            return len(re.findall(r"port \d+", _stack.log("listener").read_text()[begin:])) >= len(urls)

        until(listens, seconds=40)

    yield start
    with suppress(KeyError):
        _stack.kill("listener")


def stored() -> Counter[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM logs_chunk")
        return Counter(text for (body,) in cursor for text in chunks.unpack(body).texts)


def all_stored(expected: set[str]) -> bool:
    try:
        return expected <= stored().keys()
    except DatabaseError:
        connection.close()
        return False


def kill_postgres(stack: Any) -> None:
    if pid := stack.services.postgres_pid():
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.3)
    stack.services.ensure()
    connection.close()


class Exporter(Thread):
    """Sends over gRPC as SDKs do: again after UNAVAILABLE and what else may be repeated."""

    def __init__(self, port: int, token: str, halt: Event) -> None:
        super().__init__(daemon=True)
        self.port, self.token, self.halt = port, token, halt
        self.acknowledged: list[str] = []
        self.codes: Counter[grpc.StatusCode] = Counter()

    def run(self) -> None:
        turn = 0
        while not self.halt.is_set():
            texts = [f"grpc {turn}.{number}" for number in range(BATCH)]
            request = ExportLogsServiceRequest()
            records = request.resource_logs.add().scope_logs.add().log_records
            for text in texts:
                records.add(time_unix_nano=time.time_ns()).body.string_value = text
            while not self._send(request):
                if self.halt.wait(0.05):
                    return
            self.acknowledged += texts
            turn += 1

    def _send(self, request: ExportLogsServiceRequest) -> bool:
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            stub = logs_service_pb2_grpc.LogsServiceStub(channel)
            try:
                stub.Export(request, metadata=[("authorization", f"Bearer {self.token}")], timeout=10)
            except grpc.RpcError as error:
                self.codes[error.code()] += 1  # type: ignore[attr-defined]
                return False
        return True


def test_what_grpc_clients_were_told_is_there_once(
    _stack: Any, listener: Callable[..., None], until: Callable[..., None]
) -> None:
    chance = random.Random(7)
    token = access.issue_token(user=User.objects.create_user("exporter"), name="t", project="faults", source="app")
    url = f"otlp+grpc://127.0.0.1:{free_port()}"
    listener(url)
    halt = Event()
    client = Exporter(int(url.rpartition(":")[2]), token, halt)
    client.start()
    until(lambda: client.acknowledged)
    for number in range(8):
        if number % 2:
            kill_postgres(_stack)
        else:
            _stack.kill("listener")
            listener(url)
        time.sleep(chance.uniform(0.2, 0.8))
    before = len(client.acknowledged)
    until(lambda: len(client.acknowledged) > before + 5 * BATCH, seconds=60)
    halt.set()
    client.join(30)
    found = stored()
    assert not set(client.acknowledged) - found.keys()
    assert max(count for text, count in found.items() if text.startswith("grpc")) == 1
    code = grpc.StatusCode
    assert client.codes.keys() <= {code.UNAVAILABLE, code.CANCELLED, code.DEADLINE_EXCEEDED}, "all may be repeated"


def test_lines_over_tcp_wait_for_the_database(
    _stack: Any, listener: Callable[..., None], until: Callable[..., None]
) -> None:
    url = f"syslog+tcp://127.0.0.1:{free_port()}"
    listener(url)
    sent: list[str] = []
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as stream:
        for turn in range(5):
            for _ in range(200):
                sent.append(f"tcp {len(sent)}")
                stream.sendall(f"<13>1 2026-11-25T08:00:00Z h app - - - {sent[-1]}\n".encode())
                time.sleep(0.001)
            if turn < 4:
                kill_postgres(_stack)
        until(lambda: all_stored(set(sent)), seconds=60)
    found = stored()
    assert [found[text] for text in sent] == [1] * len(sent)
