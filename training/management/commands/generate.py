"""Fill a dataset with synthetic log sequences."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from duolog.plugins.options import parse_pairs
from training.jobs import KINDS
from workers.console import DuologCommand, perform


class Command(DuologCommand):
    help = str(_("Generate labelled log sequences of a synthetic shop; the same seed gives the same sequences."))

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--count", type=int, required=True, help=str(_("number of sequences")))
        parser.add_argument("--seed", type=int, default=0, help=str(_("random seed (default: %(default)s)")))
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--kind", choices=list(KINDS), default="sequences",
            help=str(_("sequences to train a detector on, or analysis: incidents explained, for the large model")),
        )  # fmt: skip
        what.add_argument("--generator", metavar="NAME", default="", help=str(_("another generator plugin")))
        parser.add_argument(
            "--language", choices=["zh", "en", "mixed", "pairs"],
            help=str(_("of the lines (default: zh); pairs, of --kind analysis: each incident in both")),
        )  # fmt: skip
        parser.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", dest="pairs",
            help=str(_("another option of the generator, such as teams=50; may be given several times")),
        )  # fmt: skip
        parser.add_argument("--dataset", required=True, help=str(_("dataset to add to; made if it is new")))

    def handle(
        self, *args: Any, project: str, json: bool, language: str | None, pairs: list[str], **options: Any
    ) -> None:
        asked = {name: options[name] for name in ("dataset", "count", "seed", "kind", "generator")}
        asked["options"] = parse_pairs(pairs) | ({"language": language} if language else {})
        result = perform(job="generate", project=project, options=asked).result
        text = gettext("%(sequences)d sequences added to dataset %(dataset)s, %(anomalous)d of them anomalous")
        self.reply(result, text % result, json=json)
