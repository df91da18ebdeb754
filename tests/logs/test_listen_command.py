"""`duolog listen` and `duolog tail` as processes of their own, on a real database."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from shipping import Live

pytestmark = pytest.mark.django_db(transaction=True)

Started = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def live(until: Callable[..., None]) -> Live:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE logs_chunk")
    return Live("", "", until)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    from django.conf import settings

    url = urlsplit(settings.SERVICES.database_url)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    return os.environ | {"DATABASE_URL": url, "REDIS_URL": settings.CELERY_BROKER_URL, "DUOLOG_HOME": str(tmp_path)}


def start(environment: dict[str, str], log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "duolog", *arguments], cwd=Path(__file__).parents[2], env=environment,
            stdout=subprocess.PIPE, stderr=stream,
        )  # fmt: skip


def test_listen_until_it_is_told_to_stop(live: Live, environment: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    urls = ("syslog+tcp://127.0.0.1:0?source=network", "gelf+udp://127.0.0.1:0", "otlp+grpc://127.0.0.1:0")
    process = start(environment, log, "listen", "--project", "shop", "--json", *urls)
    live.until(lambda: len(re.findall(r"port \d+", log.read_text())) == 3 or process.poll() is not None, seconds=30)
    assert process.poll() is None, log.read_text()
    ports = dict(re.findall(r"listening on (\S+)://\S+, port (\d+)", log.read_text()))
    with socket.create_connection(("127.0.0.1", int(ports["syslog+tcp"]))) as stream:
        stream.sendall("<11>1 2026-11-25T08:00:00Z web shop - - - 订单 1".encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        plug.sendto(b'{"short_message":"two"}', ("127.0.0.1", int(ports["gelf+udp"])))
    live.wait(2)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert json.loads(out) == {"received": 2, "stored": 2, "rejected": 0, "dropped": 0, "lost": 0}
    assert process.returncode == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM logs_source ORDER BY name")
        assert [name for (name,) in cursor.fetchall()] == ["gelf", "network"]


def test_listen_says_what_is_wrong() -> None:
    with pytest.raises(CommandError, match="known are syslog"):
        call_command("listen", "http://127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CommandError, match="address already in use"):
            call_command("listen", f"syslog+tcp://127.0.0.1:{taken.getsockname()[1]}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_tail_goes_on_where_it_was(
    live: Live, environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    file = tmp_path / "shop.log"
    expected = []
    for part in range(3):
        with file.open("a", encoding="utf-8") as stream:
            for line in range(200):
                expected.append(f"2026-11-25 08:00:00 INFO part {part} 第{line}行")
                stream.write(expected[-1] + "\n")
        process = start(environment, tmp_path / "log", "tail", str(file), "--project", "shop")
        live.until(lambda: len(live.lines()) >= len(expected), seconds=30)
        process.send_signal(number)
        process.communicate(timeout=30)
    assert sorted(live.texts()) == sorted(expected)


def test_tail_once(live: Live, tmp_path: Path, settings: object) -> None:
    settings.HOME = tmp_path  # type: ignore[attr-defined]
    file = tmp_path / "nginx.log"
    file.write_text("one\n2026-11-25 08:00:00 ERROR two", encoding="utf-8")
    call_command("tail", str(file), "--once", "--source", "web")
    call_command("tail", str(file), "--once", "--source", "web")
    first, second = sorted(live.lines(), reverse=True)
    assert (first.text, first.service) == ("one", "nginx")
    assert (second.level, second.time) == ("error", 1795593600.0)
    (tmp_path / "tail" / "default-web.lock").touch()
    import fcntl

    with (tmp_path / "tail" / "default-web.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="another"):
            call_command("tail", str(file), "--once", "--source", "web")
