"""Fine-tune an analyst on a dataset."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from detection import promotion, versions
from duolog.plugins.options import parse_pairs
from training.finetuning import FinetuneOptions, create
from workers.console import DuologCommand, perform, served
from workers.jobs import find

FIGURES = ("type_accuracy", "macro_f1", "category_accuracy", "f1", "valid", "grounded", "seconds_a_report")


class Command(DuologCommand):
    help = str(
        _(
            "Fine-tune an analyst on a dataset that has a split, store it as the next version of its model, and "
            "measure it. The first version becomes the champion if nothing speaks against it."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dataset", required=True, help=str(_("dataset to learn from")))
        parser.add_argument("--analyst", default="local", help=str(_("the analyst (default: local)")))
        parser.add_argument(
            "--base", default="", help=str(_("base model: a folder or a name on a hub (default: the analyst decides)"))
        )
        parser.add_argument("--name", default="", help=str(_("the model's name (default: DATASET-ANALYST)")))
        parser.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", dest="pairs",
            help=str(_("an option of the analyst, such as epochs=3; may be given several times")),
        )  # fmt: skip
        parser.add_argument(
            "--canaries", type=int, default=5, metavar="N",
            help=str(_("invented secrets to plant, which measuring tries to get out again (default: 5)")),
        )  # fmt: skip
        parser.add_argument(
            "--wait", action="store_true", help=str(_("wait for the end where a worker does the training"))
        )

    def handle(
        self,
        *args: Any,
        project: str,
        json: bool,
        dataset: str,
        analyst: str,
        base: str,
        name: str,
        pairs: list[str],
        canaries: int,
        wait: bool,
        **options: Any,
    ) -> None:
        asked = {"dataset": dataset, "analyst": analyst, "base": base, "name": name, "canaries": canaries}
        chosen = parse_pairs(pairs)
        create(FinetuneOptions(dataset, analyst, base, options=chosen), project)  # a slip is told before the queue
        run = perform(
            job="finetune",
            project=project,
            options={**asked, "options": chosen},
            wait=wait or not served(find("finetune").queue),
        )
        result: dict[str, Any] = {"model": run.result.get("model"), "run": str(run.pk), "metrics": {}, "problems": []}
        if result["model"]:
            version = versions.resolve(project=project, ref=result["model"], kind=versions.ANALYST)
            result |= {"metrics": version.metrics, "problems": promotion.problems(version)}
        self.reply(result, self._tell(result), json=json)

    def _tell(self, result: dict[str, Any]) -> str:
        if not result["model"]:
            return gettext("queued as run %(run)s") % result
        lines = [gettext("fine-tuned %(model)s") % result]
        for part, found in result["metrics"].items():
            if part not in (promotion.FIT, promotion.PRIVACY):
                lines.append(f"{part}: " + ", ".join(told(found)))
        lines += [gettext("not fit to be the champion: %(problem)s") % {"problem": one} for one in result["problems"]]
        return "\n".join(lines)


def told(figures: dict[str, Any]) -> list[str]:
    """Return an analyst's figures for people, beside those of the floor."""
    floor = figures["floor"]
    found = []
    for name in FIGURES:
        if (value := figures.get(name)) is not None:
            beside = figures.get(f"floor_{name}")
            found.append(f"{name} {value:.4f}" + (f" ({floor} {beside:.4f})" if beside is not None else ""))
    return found
