"""Divide a dataset into train, validation and test."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workers.console import DuologCommand, perform


class Command(DuologCommand):
    help = str(
        _(
            "Divide the labelled sequences of a dataset into train, validation and test, alike in labels and types. "
            "Without sizes: eight tenths, one tenth and one tenth."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dataset", required=True, help=str(_("dataset to divide")))
        for part in ("train", "validation", "test"):
            parser.add_argument(f"--{part}", type=int, default=0, help=str(_("number of sequences in this part")))
        parser.add_argument("--seed", type=int, default=0, help=str(_("random seed (default: %(default)s)")))

    def handle(self, *args: Any, project: str, json: bool, **options: Any) -> None:
        asked = {name: options[name] for name in ("dataset", "train", "validation", "test", "seed")}
        result = perform(job="split", project=project, options=asked).result
        text = gettext("dataset %(dataset)s is split (revision %(revision)d): %(train)d / %(validation)d / %(test)d")
        self.reply(result, text % {"test": 0, **result}, json=json)
