"""The real web stack and the real listener, for clients that nobody here wrote."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from pytest_django.live_server_helper import LiveServer
from shipping import Live


@pytest.fixture
def live(live_server: LiveServer, until: Callable[..., None]) -> Live:
    from django.contrib.auth.models import User

    from duolog import access

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE logs_chunk")  # no model's table, so nobody else empties it
    user = User.objects.create_user("shipper")
    token = access.issue_token(user=user, name="shipper", project="shop", source="web")
    return Live(str(live_server).replace("localhost", "127.0.0.1"), token, until)


@pytest.fixture
def listen(live: Live) -> Iterator[Callable[..., Any]]:
    """Start the listener on some endpoints, and return the ports they got."""
    from shipping import listening

    from logs import receive
    from logs.endpoints import parse
    from logs.management.commands.listen import admit

    def start(*urls: str) -> dict[str, int]:
        stores: dict[Any, Any] = {}
        for endpoint in map(parse, urls):
            if endpoint.source:
                sender = receive.Sender("shop", receive.source("shop", endpoint.source), 0, 0)
                stores[endpoint] = in_thread(partial(receive.store, sender, endpoint.protocol, 503, None))
        started = listening(*urls, store_of=stores.__getitem__, admit=in_thread(admit))
        return stack.enter_context(started)[1]

    with ExitStack() as stack:
        yield start


def in_thread(work: Callable[..., Any]) -> Callable[..., Any]:
    """Give back the connection of a thread that nobody else closes before the database is dropped."""

    def done(*values: Any) -> Any:
        try:
            result = work(*values)
            return in_thread(result) if callable(result) else result
        finally:
            connections.close_all()

    return done


@pytest.fixture
def program() -> Callable[..., str]:
    """Return the path of a program, or skip: they are not part of the project."""

    def find(*names: str) -> str:
        for name in names:
            if found := shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"):
                return found
        pytest.skip(f"{names[0]} is not installed")

    return find


@pytest.fixture
def running() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start programs that are stopped after the test."""
    with ExitStack() as stack:

        def start(*command: str | Path, **options: Any) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
            )
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
            return process

        yield start
