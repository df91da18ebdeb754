"""Train a detector on a dataset."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from detection import versions
from duolog.plugins.options import parse_pairs
from logs import datasets
from training import splits
from workers.console import DuologCommand, perform, served
from workers.jobs import find


class Command(DuologCommand):
    help = str(
        _(
            "Train a detector on a dataset and store it as the next version of its model. The first version becomes "
            "the champion, which `detect` and `evaluate` use unless told otherwise."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dataset", required=True, help=str(_("dataset to learn from")))
        parser.add_argument(
            "--detector", default="moe", help=str(_("moe learns from labels, neighbours needs none (default: moe)"))
        )
        parser.add_argument("--name", default="", help=str(_("the model's name (default: DATASET-DETECTOR)")))
        parser.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", dest="pairs",
            help=str(_("an option of the detector, such as epochs=3; may be given several times")),
        )  # fmt: skip
        parser.add_argument(
            "--threshold", default="", metavar="POLICY",
            help=str(
                _(
                    "best-f1, rate=0.01 (alarms a normal sequence) or budget=2 (false alarms a day and service), on "
                    "the validation part (default: the detector decides)"
                )
            ),
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
        detector: str,
        name: str,
        pairs: list[str],
        threshold: str,
        wait: bool,
        **options: Any,
    ) -> None:
        chosen = parse_pairs(pairs)
        if versions.create(detector, chosen).needs_labels:
            self._split(project, dataset)
        # Without a worker nobody but this process would do it.
        asked = {"dataset": dataset, "detector": detector, "name": name, "threshold": threshold, "options": chosen}
        run = perform(
            job="fit-detector", project=project, options=asked, wait=wait or not served(find("fit-detector").queue)
        )
        result = {"model": run.result.get("model"), "run": str(run.pk), "metrics": run.result.get("metrics", {})}
        self.reply(result, self._tell(result), json=json)

    def _split(self, project: str, ref: str) -> None:
        dataset, part = datasets.resolve(project=project, ref=ref)
        if part or splits.parts(dataset):
            return
        self.stderr.write(gettext("dataset %(dataset)s has no split yet: splitting it 80/10/10") % {"dataset": ref})
        perform(job="split", project=project, options={"dataset": ref})

    def _tell(self, result: dict[str, Any]) -> str:
        if not result["model"]:
            return gettext("queued as run %(run)s") % result
        text = gettext("trained %(model)s") % result
        if found := result["metrics"]:
            text += gettext(": F1 %(f1).3f, precision %(precision).3f, recall %(recall).3f on validation") % found
        return text
