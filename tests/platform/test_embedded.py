"""Embedded services as their users see them: started on demand, shared, restarted, stopped by the last one."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from duolog.embedded import Services

pytestmark = pytest.mark.slow


@pytest.fixture
def home() -> Iterator[Path]:
    # Not pytest's tmp_path: that lies in a folder closed to others, which is a case of its own below.
    with tempfile.TemporaryDirectory(prefix="duolog-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "home"


def value(services: Services, sql: str) -> object:
    with psycopg.connect(services.database_url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None


def test_the_first_user_starts_them_and_the_last_one_stops_them(home):
    first, second = Services(home), Services(home)
    with first.hold():
        with second.hold():
            assert value(second, "SELECT 1") == 1
        assert value(first, "SELECT 2") == 2, "they stopped while somebody still used them"
    with pytest.raises(psycopg.OperationalError):
        value(first, "SELECT 3")
    assert first.postgres_pid() is None


def test_what_was_killed_is_started_again_and_has_lost_nothing(home):
    services = Services(home)
    queue = redis.Redis(unix_socket_path=str(services.sockets / "valkey.sock"))
    with services.hold():
        value(services, "CREATE TABLE kept AS SELECT 41 + 1 AS n")
        queue.set("kept", "yes")
        for pid in services.postgres_pid(), queue.info("server")["process_id"]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)  # they are children of ours; a signal takes a while to kill
        assert sorted(services.ensure()) == ["postgres", "valkey"]
        assert value(services, "SELECT n FROM kept") == 42
        assert queue.get("kept") == b"yes"


def test_a_home_with_a_path_too_long_for_a_socket_works(home):
    services = Services(home / ("deep" * 20) / ("deeper" * 10))
    with services.hold():
        assert value(services, "SELECT 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")
def test_a_home_closed_to_the_postgres_user_works_and_deleting_it_resets_everything(home):
    home.mkdir()
    home.chmod(0o700)
    services = Services(home)
    with services.hold():
        value(services, "CREATE TABLE kept ()")
    for file in home.iterdir():
        if file.is_file():
            file.unlink()
    with Services(home).hold():
        assert value(services, "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'") == 0


def test_services_that_are_somebody_elses_are_left_alone(home):
    services = Services(home, database_url="postgresql://nobody@127.0.0.1:1/x", redis_url="redis://127.0.0.1:1")
    with services.hold():
        assert services.postgres_pid() is None
        assert services.database_url.endswith(":1/x")
