"""Fill a dataset with synthetic log sequences."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workers.console import DuologCommand, perform


class Command(DuologCommand):
    help = str(_("Generate labelled log sequences of a synthetic shop; the same seed gives the same sequences."))

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--count", type=int, required=True, help=str(_("number of sequences")))
        parser.add_argument("--seed", type=int, default=0, help=str(_("random seed (default: %(default)s)")))
        parser.add_argument(
            "--language",
            choices=["zh", "en", "mixed"],
            default="zh",
            help=str(_("of the lines (default: %(default)s)")),
        )
        parser.add_argument("--dataset", required=True, help=str(_("dataset to add to; made if it is new")))

    def handle(
        self, *args: Any, project: str, json: bool, dataset: str, count: int, seed: int, language: str, **options: Any
    ) -> None:
        asked = {"dataset": dataset, "count": count, "seed": seed, "options": {"language": language}}
        result = perform(job="generate", project=project, options=asked).result
        text = gettext("%(sequences)d sequences added to dataset %(dataset)s, %(anomalous)d of them anomalous")
        self.reply(result, text % result, json=json)
