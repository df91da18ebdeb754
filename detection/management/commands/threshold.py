"""Choose the threshold of a model version anew."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workers.console import DuologCommand, perform


class Command(DuologCommand):
    help = str(
        _(
            "Choose the threshold of a model version anew on labelled sequences. Nothing is learned again; who chose, "
            "when and why is recorded."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--model", default="", help=str(_("name@alias, name:version or name (default: the newest champion)"))
        )
        parser.add_argument(
            "--dataset", required=True, metavar="NAME[:PART]", help=str(_("labelled sequences to choose on"))
        )
        parser.add_argument(
            "--threshold", required=True, metavar="POLICY",
            help=str(
                _("best-f1, rate=0.01 (alarms a normal sequence) or budget=2 (false alarms a day and service)")
            ),
        )  # fmt: skip
        parser.add_argument("--reason", default="", help=str(_("why; it is recorded")))

    def handle(
        self,
        *args: Any,
        project: str,
        json: bool,
        model: str,
        dataset: str,
        threshold: str,
        reason: str,
        **options: Any,
    ) -> None:
        asked = {"model": model, "dataset": dataset, "threshold": threshold, "reason": reason}
        result = perform(job="choose-threshold", project=project, options=asked).result
        text = gettext("the threshold of %(model)s is %(threshold).4f now, after %(before).4f")
        self.reply(result, text % result, json=json)
