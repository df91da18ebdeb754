"""The command line: `duolog COMMAND` or `python manage.py COMMAND`."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

# Commands that need no database; all others hold the embedded services while they run.
OFFLINE = frozenset({"help", "version", "--help", "--version", "-h", "makemigrations", "collectstatic"})
# What these log is read from files; a person at the terminal reads the output of all others.
SERVERS = frozenset({"serve", "demo", "sweep", "listen", "tail"})


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Treat SIGTERM as Ctrl-C, so that `finally` blocks run and nothing is left behind."""
    raise KeyboardInterrupt


def main() -> None:
    """Run one Django command with the services it needs, in the language of the terminal (LC_ALL, LANG)."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "duolog.settings")
    language = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG", "")
    os.environ.setdefault("DUOLOG_LANGUAGE", "zh-hans" if language.startswith("zh") else "en")
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    if command not in SERVERS:
        os.environ.setdefault("DUOLOG_LOG_LEVEL", "WARNING")
    from django.conf import settings
    from django.core.management import execute_from_command_line

    if command in OFFLINE or "--help" in sys.argv or "-h" in sys.argv:
        execute_from_command_line(sys.argv)
        return
    signal.signal(signal.SIGTERM, _interrupt)
    with settings.SERVICES.hold():
        try:
            execute_from_command_line(sys.argv)
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)
