"""Let an alias point to a model version."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from detection import aliases, versions
from workers.console import DuologCommand


class Command(DuologCommand):
    help = str(
        _(
            "Let an alias of a model point to one of its versions: the champion is what scans, `detect` and `evaluate` "
            "use, the shadow scores beside it. Who moved it, when and why is recorded."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--model", required=True, help=str(_("name:version or name@alias")))
        parser.add_argument("--alias", default=aliases.CHAMPION, help=str(_("the alias (default: champion)")))
        parser.add_argument(
            "--reason", default="", help=str(_("why; overrides what speaks against it, and is recorded"))
        )

    def handle(self, *args: Any, project: str, json: bool, model: str, alias: str, reason: str, **options: Any) -> None:
        version = versions.resolve(project=project, ref=model, kind=None)
        aliases.point(version, alias, reason=reason)
        text = gettext("%(name)s@%(alias)s is version %(number)d now")
        values = {"name": version.name, "alias": alias, "number": version.number}
        self.reply({"model": str(version), "alias": alias, "reason": reason}, text % values, json=json)
