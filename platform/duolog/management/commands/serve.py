"""`duolog serve`: the stack on existing data, until Ctrl-C."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from duolog.newcomer import ensure_admin
from duolog.stack import Stack, StackFailed
from workers.console import DuologCommand


class Command(DuologCommand):
    help = str(_("Serve web pages and API and run the workers, until Ctrl-C."))

    def handle(self, *args: Any, **options: Any) -> None:
        for line in ensure_admin():
            self.stdout.write(line)
        try:
            with Stack().running() as stack:
                self.stdout.write(gettext("Console %(url)s/admin/   API %(url)s/api/v1/") % {"url": stack.url})
                self.stdout.write(gettext("Ctrl-C stops everything."))
                serve_until_interrupted(stack, self.stdout.write)
        except StackFailed as error:
            raise CommandError(str(error)) from error


def serve_until_interrupted(stack: Stack, tell: Any) -> None:
    """Tend the stack until Ctrl-C or SIGTERM."""
    try:
        while True:
            for name in stack.tend():
                tell(gettext("%(name)s had stopped and was started again") % {"name": name})
            time.sleep(1)
    except KeyboardInterrupt:
        tell(gettext("Stopping …"))
