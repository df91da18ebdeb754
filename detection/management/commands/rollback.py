"""Let an alias point again to what it pointed to before."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from detection import aliases
from workers.console import DuologCommand


class Command(DuologCommand):
    help = str(_("Let an alias of a model point again to the version that it pointed to before the present one."))

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--model", required=True, metavar="NAME", help=str(_("the model's name")))
        parser.add_argument("--alias", default=aliases.CHAMPION, help=str(_("the alias (default: champion)")))
        parser.add_argument("--reason", default="", help=str(_("why; it is recorded")))

    def handle(self, *args: Any, project: str, json: bool, model: str, alias: str, reason: str, **options: Any) -> None:
        row = aliases.rollback(project=project, name=model, alias=alias, reason=reason)
        text = gettext("%(name)s@%(alias)s is version %(number)d now")
        values = {"name": model, "alias": alias, "number": row.version.number}
        self.reply({"model": str(row.version), "alias": alias, "reason": reason}, text % values, json=json)
