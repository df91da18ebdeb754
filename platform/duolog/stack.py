"""The whole system on one machine: web server, workers and sweeper as child processes, watched and stopped in order."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO

from django.conf import settings
from django.utils.translation import gettext

QUEUES = ("cpu", "gpu", "infer", "stream", "alerts")
START_SECONDS = 60
STOP_SECONDS = 20
RESTART_SECONDS = 2  # a process that dies at once is started again no more often than this


class StackFailed(RuntimeError):
    """The stack cannot run; the message says why and what to do."""


def _stop_once(number: int, frame: FrameType | None) -> None:
    """Interrupt the stack; whoever presses Ctrl-C again meanwhile does not interrupt its orderly end."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def free_port(first: int) -> int:
    """Return the first port from `first` on that nobody listens on."""
    for port in range(first, first + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((settings.WEB_HOST, port))
                return port
    raise StackFailed(gettext("no free port from %(first)s on; set DUOLOG_PORT") % {"first": first})


def _commands(port: int) -> dict[str, list[str]]:
    """Return the command line of every process by its name."""
    python = [sys.executable, "-m"]
    worker = [
        *python,
        "celery",
        "--quiet",
        "-A",
        "workers",
        "worker",
        "--without-gossip",
        "--without-mingle",
        "-l",
        "INFO",
    ]
    per_queue = {
        "cpu": ["-c", "2"],
        "gpu": ["-c", "1", "--max-tasks-per-child", "1"],
        "infer": ["-c", "1"],
        "stream": ["-c", "1"],
        "alerts": ["-P", "threads", "-c", "4"],  # they wait for other machines
    }
    return {
        "web": [
            *python, "granian", "--interface", "wsgi", "--host", settings.WEB_HOST, "--port", str(port),
            "--workers", "2", "--blocking-threads", "2", "--access-log", "--respawn-failed-workers",
            "duolog.wsgi:application",
        ],
        **{f"worker-{q}": [*worker, "-Q", q, "-n", f"{q}@%h-{port}", *per_queue[q]] for q in QUEUES},
        "sweeper": [*python, "duolog", "sweep"],
    }  # fmt: skip


class Stack:
    """The processes of one home; one stack a home at a time."""

    def __init__(self) -> None:
        self.port = free_port(settings.WEB_PORT)
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self._started_at: dict[str, float] = {}
        self._commands = _commands(self.port)

    @property
    def url(self) -> str:
        """Where the web server answers."""
        return f"http://{settings.WEB_HOST}:{self.port}"

    @contextmanager
    def running(self) -> Iterator[Stack]:
        """Start everything, wait until it answers, and stop it at the end."""
        with _only_one():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, _stop_once)
            try:
                for name in self._commands:
                    self._start(name)
                self._say("stack starts")
                self._wait_until_ready()
                yield self
            finally:
                self.stop()

    def tend(self) -> list[str]:
        """Start again whatever died, embedded services too, and return the names of what was started."""
        started = settings.SERVICES.ensure()
        for name in started:
            self._say(f"{name} had stopped and was started again")
        for name, child in self.children.items():
            status = child.poll()
            if status is not None and time.monotonic() - self._started_at[name] > RESTART_SECONDS:
                self._start(name)
                self._say(
                    f"{name} ended with status {status} and was started again as process {self.children[name].pid}"
                )
                started.append(name)
        return started

    def log(self, name: str) -> Path:
        """Return the log file of one process."""
        return settings.SERVICES.log(name)

    def stop(self) -> None:
        """Stop all processes: ask first, then end whole process groups."""
        for child in self.children.values():
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self.children.values():
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(0.1, deadline - time.monotonic()))
            # Also a process that ended may have left children behind (a worker that was killed, say).
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def _say(self, text: str) -> None:
        """Write to the stack's own log, as systemd would."""
        with self.log("stack").open("a", encoding="utf-8") as stream:
            stream.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}\n")

    def _start(self, name: str) -> None:
        log = self.log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            # A session of its own, so that Ctrl-C reaches this process alone, which then stops the others in order.
            self.children[name] = subprocess.Popen(
                self._commands[name], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True,
                env=os.environ | {"DUOLOG_PROCESS": f"duolog-{name}"},
            )  # fmt: skip
        self._started_at[name] = time.monotonic()

    def _wait_until_ready(self) -> None:
        self._wait("web", self._web_answers)
        for queue in QUEUES:
            self._wait(f"worker-{queue}", partial(_worker_reports, queue, self.port))

    def _web_answers(self) -> bool:
        try:
            socket.create_connection((settings.WEB_HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if self.children[name].poll() is not None or time.monotonic() > deadline:
                tail = self.log(name).read_text(encoding="utf-8", errors="replace")[-2000:]
                what = gettext("%(name)s did not start; the end of %(log)s:") % {"name": name, "log": self.log(name)}
                raise StackFailed(f"{what}\n{tail}")
            time.sleep(0.1)


def _worker_reports(queue: str, port: int) -> bool:
    from workers.models import Worker

    return Worker.objects.alive().filter(name__startswith=f"{queue}@", name__endswith=f"-{port}").exists()


@contextmanager
def _only_one() -> Iterator[IO[str]]:
    """Hold the home's stack lock; raise StackFailed where another stack has it."""
    with (settings.HOME / "stack.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            text = gettext("a stack already serves this home (process %(pid)s); stop it first, or set DUOLOG_HOME")
            raise StackFailed(text % {"pid": lock.read().strip() or "?"}) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock
