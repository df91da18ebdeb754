"""Let a detector without labels follow its stream."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workers.console import DuologCommand, perform


class Command(DuologCommand):
    help = str(
        _(
            "Fit a detector that needs no labels anew on the newest sequences it has scanned, without what it flagged. "
            "The new version becomes the champion if it stays quiet on the sequences before them."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dataset", required=True, help=str(_("dataset that the model has scanned")))
        parser.add_argument(
            "--model", default="", help=str(_("name@alias, name:version or name (default: the newest champion)"))
        )
        parser.add_argument(
            "--sequences", type=int, default=1000, help=str(_("how many of the newest (default: %(default)s)"))
        )

    def handle(self, *args: Any, project: str, json: bool, **options: Any) -> None:
        asked = {name: options[name] for name in ("dataset", "model", "sequences")}
        found = perform(job="refresh", project=project, options=asked).result
        text = gettext(
            "%(model)s learned from %(sequences)d sequences (%(left_out)d left out); of the %(before)d before them it "
            "flags %(share)s"
        )
        lines = [text % {**found, "share": f"{found['alarms_before']:.1%}"}]
        if found["promoted"]:
            lines.append(gettext("it is the champion now"))
        else:
            lines.append(gettext("it is not the champion; `duolog promote --model %(model)s --reason TEXT`") % found)
        self.reply(found, "\n".join(lines), json=json)
