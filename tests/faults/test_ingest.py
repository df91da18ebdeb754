"""Web server, workers, broker and database die at random while shippers send: what was acknowledged is there, once."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Any

from django.contrib.auth.models import User
from django.db import DatabaseError, connection

from duolog import access
from logs.engine import chunks
from logs.models import OpenSequence, PendingChunk, Sequence, Source

KILLS = 50
CLIENTS = 3
BATCH = 40


class Shipper(Thread):
    """Sends batches of lines that nobody else sends, each until it is acknowledged, as a careful client does."""

    def __init__(self, number: int, port: int, token: str, halt: Event) -> None:
        super().__init__(daemon=True)
        self.number, self.port, self.token, self.halt = number, port, token, halt
        self.acknowledged: list[str] = []
        self.refusals: Counter[int] = Counter()

    def run(self) -> None:
        turn = 0
        while not self.halt.is_set():
            texts = [f"line {self.number}.{turn}.{number}" for number in range(BATCH)]
            body = b"".join(
                json.dumps({"message": text, "time": time.time(), "trace_id": f"{self.number}-{turn // 3}"}).encode()
                + b"\n"
                for text in texts
            )
            while not self._send(body):
                self.halt.wait(0.05)
                if self.halt.is_set():
                    return
            self.acknowledged += texts
            turn += 1
            self.halt.wait(0.02)

    def _send(self, body: bytes) -> bool:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/x-ndjson"}
            link.request("POST", "/api/v1/ingest", body, headers)
            status = link.getresponse().status
        except (OSError, http.client.HTTPException):
            return False
        finally:
            link.close()
        if status != 200:
            self.refusals[status] += 1
        return status == 200


def kill_postgres(stack: Any) -> None:
    pid = stack.services.postgres_pid()
    if pid:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.3)  # a while without a database
    stack.services.ensure()
    connection.close()


def kill_valkey(stack: Any) -> None:
    with suppress(Exception):
        os.kill(stack.valkey().info()["process_id"], signal.SIGKILL)
    stack.services.ensure()


def test_what_was_acknowledged_is_there_once(_stack: Any, web: int, until: Callable[..., None]) -> None:
    chance = random.Random(7)
    user = User.objects.create_user("shipper")
    token = access.issue_token(user=user, name="t", project="faults", source="app")
    halt = Event()
    shippers = [Shipper(number, web, token, halt) for number in range(CLIENTS)]
    for each in shippers:
        each.start()
    until(lambda: all(each.acknowledged for each in shippers))
    Source.objects.update(rule={"seconds": 2, "lateness": 1}, judged=False)

    def again(name: str) -> None:
        _stack.kill(name)
        if name == "web":
            _stack.web()
        elif name == "sweeper":
            _stack.sweeper()
        else:
            _stack._start("stream", *STREAM)

    faults: dict[str, Callable[[], None]] = {
        "web": lambda: again("web"),
        "stream": lambda: again("stream"),
        "sweeper": lambda: again("sweeper"),
        "valkey": lambda: kill_valkey(_stack),
        "postgres": lambda: kill_postgres(_stack),
    }
    for _ in range(KILLS):
        faults[chance.choice([*faults, "web", "postgres", "stream"])]()
        time.sleep(chance.uniform(0.1, 0.8))
        for name in ("web", "stream", "sweeper"):  # as the stack does with what has ended by itself
            if _stack.processes[name].poll() is not None:
                again(name)
    before = sum(len(each.acknowledged) for each in shippers)
    until(lambda: sum(len(each.acknowledged) for each in shippers) > before + 5 * BATCH, seconds=60)
    halt.set()
    for each in shippers:
        each.join(60)

    def done() -> bool:
        try:
            return not PendingChunk.objects.exists() and not OpenSequence.objects.exists()
        except DatabaseError:
            connection.close()
            return False

    try:
        until(done, seconds=90)
    except AssertionError as error:
        tails = {name: _stack.log(name).read_text(errors="replace")[-3000:] for name in ("stream", "sweeper")}
        raise AssertionError(tails) from error
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM logs_chunk")
        stored = Counter(text for (body,) in cursor for text in chunks.unpack(body).texts)
    judged = Counter(text for entries in Sequence.objects.values_list("entries", flat=True) for text in entries)
    acknowledged = {text for each in shippers for text in each.acknowledged}
    assert len(acknowledged) > 500
    assert not acknowledged - stored.keys()
    assert max(stored.values()) == 1
    assert judged == stored
    assert set().union(*(each.refusals for each in shippers)) <= {503}


STREAM = ["celery", "-A", "workers", "worker", "-l", "INFO", "-c", "1", "-Q", "stream", "-n", "stream@%h"]
