"""`duolog serve` as an operator sees it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.fault]
SERVE = [sys.executable, "-m", "duolog", "serve"]


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """A home of its own, with embedded services, and a port that is taken already."""
    with tempfile.TemporaryDirectory(prefix="duolog-serve-") as home, socket.socket() as taken:
        Path(home).chmod(0o755)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        outside = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL")}
        yield outside | {"DUOLOG_HOME": home, "DUOLOG_PORT": str(taken.getsockname()[1]), "PYTHONUNBUFFERED": "1"}


def processes_of(home: str) -> list[str]:
    """Command lines of all processes that work for a home."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"DUOLOG_HOME={home}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # ended meanwhile
            continue
    return found


def test_it_takes_the_next_free_port_refuses_a_second_stack_and_leaves_nothing_behind(environment):
    home = environment["DUOLOG_HOME"]
    serving = subprocess.Popen(SERVE, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        said = ""
        while "/api/v1/" not in said:
            line = serving.stdout.readline()
            assert line, f"it ended before it served: {said}"
            said += line
        url = re.search(r"http://127\.0\.0\.1:(\d+)", said)
        assert int(url[1]) > int(environment["DUOLOG_PORT"])
        assert "admin" in said
        assert urllib.request.urlopen(f"{url[0]}/admin/login/", timeout=10).status == 200

        second = subprocess.run(SERVE, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode != 0
        assert str(serving.pid) in second.stderr
    finally:
        serving.send_signal(signal.SIGTERM)
        serving.wait(60)
    deadline = time.monotonic() + 10
    while processes_of(home) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(home) == []
