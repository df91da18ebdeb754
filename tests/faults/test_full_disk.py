"""The disk is full: shippers are told to wait, nothing is lost, and when there is room again all goes on."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection

from duolog import access
from logs.engine import chunks

ROOM = "400m"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder on a disk of its own, which is small; Postgres, which runs as nobody, must be able to enter it."""
    folder = Path(tempfile.mkdtemp(prefix="duolog-full-"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=755", "tmpfs", folder], check=False)
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("may not mount a disk here")
    folder.chmod(0o755)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
    folder.rmdir()


def send(port: int, token: str, texts: list[str]) -> int:
    body = b"".join(json.dumps({"message": text}).encode() + b"\n" for text in texts)
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
        link.request("POST", "/api/v1/ingest", body, headers)
        return link.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        link.close()


def test_a_full_disk_refuses_and_loses_nothing(_stack: Any, web: int, until: Callable[..., None]) -> None:
    user = User.objects.create_user("shipper")
    token = access.issue_token(user=user, name="t", project="faults", source="app")
    connection.close()
    assert send(web, token, ["before"]) == 200
    fill(_stack.home / "filler")
    acknowledged, told, number = ["before"], Counter[int](), 0
    while told[503] < 3 and number < 400:
        # Lines that do not compress, so that the room that is left in files is soon used up.
        texts = [f"{number}.{place} {os.urandom(600).hex()}" for place in range(500)]
        status = send(web, token, texts)
        told[status] += 1
        acknowledged += texts if status == 200 else []
        number += 1
    assert told[503] >= 3, told
    assert set(told) <= {200, 503}

    (_stack.home / "filler").unlink()
    _stack.services.ensure()
    until(lambda: send(web, token, ["after"]) == 200, seconds=60)
    acknowledged.append("after")
    connection.close()
    with suppress(DatabaseError):
        connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM logs_chunk")
        stored = Counter(text for (body,) in cursor for text in chunks.unpack(body).texts)
    assert not set(acknowledged) - stored.keys()
    assert max(stored.values()) == 1


def fill(file: Path) -> None:
    """Write until nothing more fits."""
    with file.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(bytes(1 << 20)):
            pass
