"""Train a version's recipe on few labels and on all."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workers.console import DuologCommand, perform


class Command(DuologCommand):
    help = str(
        _(
            "Train a version's recipe with 20, 50, 200 and all labels, measure it beside the labels-free detector on "
            "the same test part, and keep the curve with the version."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dataset", required=True, help=str(_("labelled dataset, divided anew")))
        parser.add_argument(
            "--model", default="", help=str(_("name@alias, name:version or name (default: the newest champion)"))
        )
        parser.add_argument("--draws", type=int, default=3, help=str(_("draws of labels (default: %(default)s)")))

    def handle(self, *args: Any, project: str, json: bool, **options: Any) -> None:
        asked = {name: options[name] for name in ("dataset", "model", "draws")}
        found = perform(job="learning-curve", project=project, options=asked).result
        self.reply(found, self._tell(found), json=json)

    def _tell(self, found: dict[str, Any]) -> str:
        lines = [gettext("%(model)s on %(dataset)s: %(test)d test sequences, %(draws)d draws of labels") % found]
        lines.append(f"{gettext('labels'):>10}{'F1':>18}{'PR-AUC':>18}")
        for point in found["points"]:
            cells = (f"{point[name]['mean']:>9.4f} ± {point[name]['sd']:.4f}" for name in ("f1", "pr_auc"))
            lines.append(f"{point['labels']:>10}" + "".join(cells))
        return "\n".join(lines)
