"""Publish the starter version: a model for those who have no labels and no history yet."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from training.engine.starter import SEED, SHOP, TRAINING
from workers.console import DuologCommand, perform

NAME = "starter"
"""Of the dataset and of the model."""


class Command(DuologCommand):
    help = str(
        _(
            "Publish the starter version: generate Chinese and English logs of many deployments with a fixed seed, "
            "train on them and measure. `detect --model starter@champion` then works without labels of your own."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--count", type=int, default=8000, help=str(_("sequences to generate (default: %(default)s)"))
        )

    def handle(self, *args: Any, project: str, json: bool, count: int, **options: Any) -> None:
        def run(job: str, **asked: Any) -> dict[str, Any]:
            return perform(job=job, project=project, options={"dataset": NAME, **asked}).result

        run("generate", count=count, seed=SEED, options=SHOP)
        run("split", seed=SEED)
        model = run("fit-detector", name=NAME, options=TRAINING)["model"]
        metrics = run("evaluate", model=model)["metrics"]
        text = gettext("%(model)s: F1 %(f1).3f, precision %(precision).3f, recall %(recall).3f on generated logs")
        self.reply({"model": model, "metrics": metrics}, text % {"model": model, **metrics}, json=json)
