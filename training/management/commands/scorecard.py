"""Try a version's recipe under every protocol, several times."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from detection.promotion import TRIALS
from training.engine.split import STRATEGIES
from workers.console import DuologCommand, perform

FIGURES = ("f1", "precision", "recall", "pr_auc", "false_alarms", "leakage")
OTHERS = ("detect_line", "detect_share", "detect_of", "seconds_to_train", "seconds_to_score")


class Command(DuologCommand):
    help = str(
        _(
            "Train a version's recipe anew under each protocol, measure it beside trivial floors, and keep the "
            "scorecard with the version: what `champion` is decided by."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dataset", required=True, help=str(_("labelled dataset, divided anew for every trial")))
        parser.add_argument(
            "--model", default="", help=str(_("name@alias, name:version or name (default: the newest champion)"))
        )
        parser.add_argument(
            "--protocols", default=",".join(STRATEGIES), metavar="NAME,…",
            help=str(_("how train and test are told apart (default: %(default)s)")),
        )  # fmt: skip
        parser.add_argument(
            "--seeds", type=int, default=TRIALS, help=str(_("trials of each protocol (default: %(default)s)"))
        )

    def handle(self, *args: Any, project: str, json: bool, **options: Any) -> None:
        asked = {name: options[name] for name in ("dataset", "model", "protocols", "seeds")}
        found = perform(job="scorecard", project=project, options=asked).result
        self.reply(found, self._tell(found), json=json)

    def _tell(self, found: dict[str, Any]) -> str:
        lines = [gettext("%(model)s on %(dataset)s, %(seeds)d seeds: mean ± standard deviation") % found]
        for name, told in found["protocols"].items():
            if "skipped" in told:
                lines.append(gettext("%(name)s: skipped: %(reason)s") % {"name": name, "reason": told["skipped"]})
                continue
            floor = told["floors"][told["floor"]]["f1"]
            text = gettext("%(name)s: F1 %(over)+.4f over trivial (%(floor)s, %(mean).4f ± %(sd).4f)")
            lines.append(text % {"name": name, "over": told["over_floor"], "floor": told["floor"], **floor})
            shown = [figure for figure in (*FIGURES, *OTHERS) if figure in told]
            lines += [f"  {figure:<17}{told[figure]['mean']:>10.4f} ± {told[figure]['sd']:.4f}" for figure in shown]
        told = found["instability"]
        lines.append(gettext("F1 by disturbed lines (%(protocol)s, first seed)") % told)
        for kind, curve in told["curves"].items():
            lines.append(f"  {kind:<17}" + "".join(f"{percent:>5} % {f1:.4f}" for percent, f1 in curve))
        for kind, reason in told["not_measured"].items():
            lines.append(gettext("  %(kind)s: not measured: %(reason)s") % {"kind": kind, "reason": reason})
        return "\n".join(lines)
