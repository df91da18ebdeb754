"""One real Postgres and one real Valkey for the whole suite, embedded unless DATABASE_URL and REDIS_URL name others."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

# Set here and not in pyproject: pytest-django would read the settings before this file could choose the home.
os.environ["DUOLOG_HOME"] = os.environ.get("DUOLOG_TEST_HOME", str(Path(__file__).parents[1] / ".duolog-test"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "duolog.settings")
# Test-only jobs, known to the test process (pythonpath in pyproject) and to every process that it starts.
os.environ["DUOLOG_APPS"] = "counting"
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent / "support"), os.environ.get("PYTHONPATH", "")])

_services = ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Hold the services in the first process; xdist workers find them running."""
    from django.conf import settings

    if name := os.environ.get("PYTEST_XDIST_WORKER"):  # "gw0"
        # Each process has a test database of its own, so it needs queues of its own, too: Valkey's further databases.
        number = str(int(name.removeprefix("gw")) + 1)
        settings.CELERY_BROKER_URL = re.sub(r"(?<=[=/])\d+$", number, settings.CELERY_BROKER_URL)
    else:
        _services.enter_context(settings.SERVICES.hold())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    _services.close()


@pytest.fixture(scope="session")
def _worker_process(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker on all queues, on the test database, for the whole session."""
    from django.conf import settings
    from django.db import connection

    url = urlsplit(settings.SERVICES.database_url)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    command = [sys.executable, "-m", "celery", "-A", "workers", "worker", "-l", "INFO"]
    environment = os.environ | {
        "DATABASE_URL": url,
        "REDIS_URL": settings.CELERY_BROKER_URL,
        "DUOLOG_WORKER_ALIVE": "3",
    }
    with log.open("wb") as stream:
        worker = subprocess.Popen(
            [*command, "-c", "2", "-Q", "cpu,gpu,infer", "-n", f"tests-{os.getpid()}@%h"],
            cwd=Path(__file__).parents[1], env=environment, stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip
    yield worker
    worker.send_signal(signal.SIGCONT)
    worker.terminate()
    worker.wait(30)


@pytest.fixture
def worker(_worker_process: subprocess.Popen[bytes], transactional_db: None) -> Iterator[None]:
    """A live worker for a test with `transaction=True`: runs that the test queues are executed by another process."""
    from workers.models import Run, Worker
    from workers.states import Status

    _worker_process.send_signal(signal.SIGCONT)
    until(lambda: Worker.objects.filter(pid=_worker_process.pid).exists() or _worker_process.poll(), seconds=30)
    assert _worker_process.poll() is None, "the worker died; see worker.log in pytest's temporary folder"
    yield
    # The tables are emptied after the test: wait for who still writes into them.
    until(lambda: not Run.objects.filter(status__in=[Status.QUEUED, Status.RUNNING]).exists(), seconds=60)
    # Asleep between such tests: a run that another test queues and looks at itself must not be taken from it.
    _worker_process.send_signal(signal.SIGSTOP)


def until(condition: Callable[[], object], *, seconds: float = 20) -> None:
    """Wait for a condition; fail when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def _no_lines_stay(request: pytest.FixtureRequest) -> Iterator[None]:
    """Django's flush knows no unmanaged tables: lines that a test committed would be there for the next one."""
    yield
    marker = request.node.get_closest_marker("django_db")
    if {"transactional_db", "live_server"} & set(request.fixturenames) or (marker and marker.kwargs.get("transaction")):
        from logs.models import Chunk

        with request.getfixturevalue("django_db_blocker").unblock():
            Chunk.objects.all().delete()


@pytest.fixture(name="until", scope="session")
def until_() -> Callable[..., None]:
    """The helper above, for tests."""
    return until


@pytest.fixture
def shared_data() -> Path:
    """Folder of the real labelled logs beside the checkout; tests that need it skip where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is absent")
    return folder


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    """Forget what processes keep in mind of tables: what a test wrote went with its transaction."""
    if storage := sys.modules.get("logs.storage"):
        storage._parts.clear()
    if receive := sys.modules.get("logs.receive"):
        receive._senders.clear()
    if redaction := sys.modules.get("logs.redaction"):
        redaction._redactors.clear()
    if templates := sys.modules.get("logs.templates"):
        templates.forget()
