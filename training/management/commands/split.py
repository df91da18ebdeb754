"""Divide a dataset into train, validation and test."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from training.engine.split import STRATEGIES
from workers.console import DuologCommand, perform

PARTS = ("train", "validation", "test")


class Command(DuologCommand):
    help = str(
        _(
            "Divide the labelled sequences of a dataset into train, validation and test. "
            "Without sizes: eight tenths, one tenth and one tenth."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dataset", required=True, help=str(_("dataset to divide")))
        for part in PARTS:
            parser.add_argument(f"--{part}", type=int, default=0, help=str(_("number of sequences in this part")))
        parser.add_argument(
            "--strategy", default="random", choices=list(STRATEGIES),
            help=str(
                _(
                    "random: alike in labels and types; chronological: the oldest to train, the newest to test; "
                    "template: sequences of equal masked lines stay in one part; source: whole sources are held out "
                    "(default: random)"
                )
            ),
        )  # fmt: skip
        parser.add_argument("--seed", type=int, default=0, help=str(_("random seed (default: %(default)s)")))

    def handle(self, *args: Any, project: str, json: bool, **options: Any) -> None:
        asked = {name: options[name] for name in ("dataset", "train", "validation", "test", "seed", "strategy")}
        result = perform(job="split", project=project, options=asked).result
        self.reply(result, self._tell(result), json=json)

    def _tell(self, result: dict[str, Any]) -> str:
        asked, leaks = result["asked"], result["leakage"]
        text = gettext("dataset %(dataset)s is split (revision %(revision)d): %(train)d / %(validation)d / %(test)d")
        lines = [text % {"test": 0, **result}]
        if any(result[name] != size for name, size in asked.items()):
            sizes = " / ".join(str(asked.get(name, 0)) for name in PARTS)
            lines.append(gettext("asked for were %(sizes)s: whole groups come only so near") % {"sizes": sizes})
        for name in (name for name in PARTS if name in leaks):
            told = {"share": f"{leaks[name]:.1%}", "part": name}
            lines.append(gettext("leakage: %(share)s of %(part)s say the same, line for line, as one of train") % told)
        return "\n".join(lines)
