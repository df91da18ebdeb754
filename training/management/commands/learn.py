"""Learn from what reviewers said."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workers.console import DuologCommand, perform, served
from workers.jobs import find


class Command(DuologCommand):
    help = str(
        _(
            "Take the new verdicts of the review into the next split of a dataset, train the next version of a model "
            "on it, measure both versions on the same test part, and let the new one run as the shadow."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dataset",
            default="",
            help=str(_("dataset that was reviewed (default: the one with the most new verdicts)")),
        )
        parser.add_argument(
            "--model", default="", help=str(_("name@alias, name:version or name (default: the newest champion)"))
        )
        parser.add_argument(
            "--wait", action="store_true", help=str(_("wait for the end where a worker does the training"))
        )

    def handle(self, *args: Any, project: str, json: bool, wait: bool, **options: Any) -> None:
        asked = {name: options[name] for name in ("dataset", "model")}
        # Without a worker nobody but this process would do it.
        run = perform(job="learn", project=project, options=asked, wait=wait or not served(find("learn").queue))
        found = {**run.result, "run": str(run.pk)}
        self.reply(found, self._tell(found), json=json)

    def _tell(self, found: dict[str, Any]) -> str:
        if "model" not in found:
            return gettext("queued as run %(run)s") % found
        text = gettext(
            "%(model)s learned from %(verdicts)d verdicts on %(sequences)d sequences of %(dataset)s (revision "
            "%(revision)d), and is the shadow now"
        )
        lines = [text % found]
        for where, told in found["compared"].items():
            text = gettext("%(where)s (%(sequences)d): F1 %(two).3f, of %(after)s %(one).3f")
            values = {"where": where, "sequences": told["sequences"], "after": found["after"]}
            lines.append(text % {**values, "one": told["champion"]["f1"], "two": told["candidate"]["f1"]})
        return "\n".join(lines)
