"""A stack of its own: services in a home of their own, workers and a sweeper with leases of seconds."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dj_database_url
import pytest
import redis

from duolog.embedded import Services

if TYPE_CHECKING:  # pytest reads this file before Django is set up
    from workers.models import Run

ROOT = Path(__file__).parents[2]
QUICK = {
    "DUOLOG_RUN_LEASE": "2",
    "DUOLOG_RUN_HEARTBEAT": "0.2",
    "DUOLOG_RUN_SWEEP": "0.2",
    "DUOLOG_RUN_RING_AGAIN": "0.5",
    "DUOLOG_RUN_BACKOFF": "0",
    "DUOLOG_RUN_CANCEL_GRACE": "1",
    "DUOLOG_WORKER_ALIVE": "3",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.fault)


class Stack:
    """Processes over one home; whatever is started here is killed at the end."""

    def __init__(self, home: Path, until: Callable[..., None]) -> None:
        self.home, self.services, self.until = home, Services(home), until
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.web: Callable[[], None] = lambda: None

    def worker(self, name: str, queue: str = "cpu", **environment: str) -> None:
        """Start a worker with one pool process and wait until it is listed."""
        from workers.models import Worker

        command = ["celery", "-A", "workers", "worker", "-l", "INFO", "-c", "1", "-Q", queue, "-n", f"{name}@%h"]
        self._start(name, *command, **environment)

        def listed() -> bool:
            assert self.processes[name].poll() is None, self.log(name).read_text()[-3000:]
            return Worker.objects.filter(pid=self.processes[name].pid).exists()

        self.until(listed, seconds=30)

    def sweeper(self, name: str = "sweeper", **environment: str) -> None:
        """Start a sweeper."""
        self._start(name, "duolog", "sweep", **environment)

    def _start(self, name: str, *command: str, **environment: str) -> None:
        clean = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}
        with self.log(name).open("ab") as stream:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT, env=clean | QUICK | {"DUOLOG_HOME": str(self.home)} | environment,
                stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def log(self, name: str) -> Path:
        """What a process said."""
        return self.home / f"{name}.log"

    def send(self, name: str, how: signal.Signals) -> None:
        """Send a signal to a worker and its pool process at once."""
        os.killpg(self.processes[name].pid, how)

    def kill(self, name: str) -> None:
        """End a process and its children without warning."""
        with suppress(ProcessLookupError):
            self.send(name, signal.SIGKILL)
        self.processes.pop(name).wait()

    def ensure(self, *names: str) -> None:
        """Have these workers, and no others, running."""
        for name in [name for name in self.processes if name != "sweeper" and name not in names]:
            self.kill(name)
        for name in names:
            if name not in self.processes:
                self.worker(name)

    def valkey(self) -> redis.Redis:
        """Connect to the broker."""
        return redis.Redis(unix_socket_path=str(self.services.sockets / "valkey.sock"))

    def restart_postgres(self) -> None:
        """Stop the database, disconnecting everybody, and start it again."""
        from django.db import connection

        pid = self.services.postgres_pid()
        assert pid
        os.kill(pid, signal.SIGINT)
        self.until(lambda: self.services.postgres_pid() is None)
        assert "postgres" in self.services.ensure()
        connection.close()  # ours was cut off, too


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder for a stack of its own."""
    folder = Path(tempfile.mkdtemp(prefix="duolog-faults-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")  # after this module the process looks at the common test database again
def _stack(home: Path, until: Callable[..., None], django_db_blocker: Any) -> Iterator[Stack]:
    from django.core.management import call_command
    from django.db import connection, connections

    from workers.celery import app

    stack = Stack(home, until)
    with ExitStack() as undo, stack.services.hold(), django_db_blocker.unblock():
        # The ORM of this process looks at that stack, too, until these tests are over.
        database, broker = connections.databases["default"], app.conf.broker_url
        before = dict(database)
        connection.close()
        database.update(dj_database_url.parse(stack.services.database_url))
        undo.callback(database.update, before)
        app.conf.broker_url = stack.services.redis_url
        undo.callback(setattr, app.conf, "broker_url", broker)
        call_command("migrate", verbosity=0)
        stack.sweeper()
        try:
            yield stack
        finally:
            for name in list(stack.processes):
                stack.kill(name)
            connection.close()


@pytest.fixture
def stack(_stack: Stack) -> Stack:
    """The stack, with two workers, `a` and `b`."""
    _stack.ensure("a", "b")
    return _stack


@pytest.fixture
def half_way(until: Callable[..., None]) -> Callable[..., int]:
    """Wait until a run has kept a checkpoint, and return its pool process."""

    def wait(run: Run) -> int:
        until(lambda: run.artifacts.filter(name="checkpoint").exists())
        return int(run.attempts.get().worker.rsplit(":", 1)[1])

    return wait


@pytest.fixture
def succeeded(until: Callable[..., None]) -> Callable[..., Run]:
    """Wait until a run has succeeded, and check that its effect was written once."""
    from counting.jobs import effects

    from workers.states import FINAL, Status

    def check(run: Run) -> Run:
        until(lambda: run.refresh_from_db() or run.status in FINAL, seconds=30)
        assert run.status == Status.SUCCEEDED, run.error
        assert effects(run.pk) == 1
        return run

    return check


@pytest.fixture
def web(_stack: Stack, until: Callable[..., None]) -> Iterator[int]:
    """A port on which the stack's web server answers, with a worker for streams behind it."""
    _stack.ensure()
    from duolog.stack import _commands, free_port

    port = free_port(19000)
    _stack.web = lambda: _stack._start("web", *_commands(port)["web"][2:])
    _stack.web()
    _stack.worker("stream", "stream")

    def answers() -> bool:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        return False

    until(answers, seconds=30)
    yield port
    for name in ("web", "stream"):
        if name in _stack.processes:
            _stack.kill(name)
