"""Measure how far a synthetic dataset is from a real one."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from logs import gaps
from workers.console import DuologCommand, perform


class Command(DuologCommand):
    help = str(
        _(
            "Measure how far a synthetic dataset is from a real one: what tells them apart (AUC; 0.5: nothing), how "
            "many real lines the synthetic ones know, and what a detector that learned from them is worth on real "
            "sequences."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dataset", required=True, help=str(_("synthetic dataset")))
        parser.add_argument("--real", required=True, help=str(_("real dataset to compare it with")))

    def handle(self, *args: Any, project: str, json: bool, dataset: str, real: str, **options: Any) -> None:
        result = perform(job="measure-gap", project=project, options={"dataset": dataset, "real": real}).result
        self.reply(result, self._tell(result), json=json)

    def _tell(self, found: dict[str, Any]) -> str:
        text = gettext("%(dataset)s against %(real)s: samples of %(ours)d and %(theirs)d sequences")
        sizes = {"ours": found["sequences"]["synthetic"], "theirs": found["sequences"]["real"]}
        lines = [text % {**found, **sizes}, gettext("told apart (AUC; 0.5: not at all) by")]
        for name, title in gaps.NAMES.items():
            value = found["auc"][name]
            lines.append(f"  {title}: {gettext('not told') if value is None else f'{value:.3f}'}")
        text = gettext(
            "coverage: a synthetic line stands near %(alike).1f%% of %(lines)d distinct real lines, and equals "
            "%(equal).1f%%; of all real lines written these are %(alike_mentions).1f%% and %(equal_mentions).1f%%"
        )
        shares = {name: 100 * share for name, share in found["coverage"].items()}
        lines.append(text % {**shares, "lines": found["coverage"]["lines"]})
        return "\n".join([*lines, gaps.missing(found["transfer"]) or self._f1(found["transfer"]), *gaps.advice(found)])

    def _f1(self, found: dict[str, Any]) -> str:
        text = gettext(
            "F1 on real sequences: %(synthetic).3f after training on synthetic ones, %(real).3f after training on real "
            "ones, %(guess).3f for calling all of them anomalous"
        )
        return text % {"guess": found["guess"], **{name: found[name]["f1"] for name in gaps.SIDES}}
