"""The gap meter through a Celery worker, as in production."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from logs.models import Dataset, Gap, Label

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SMALL = {"language": "en", "services": 5, "styles": "spring", "types": "步骤缺失"}


def fill(dataset: str, seed: int, **options: Any) -> None:
    from workers.console import perform

    asked = {"dataset": dataset, "count": 120, "seed": seed, "options": {**SMALL, **options}}
    perform(job="generate", options=asked)


def ask(*arguments: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("gap", *arguments, "--json", stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def test_the_gap_is_measured_and_the_option_that_helps_is_named(worker: None) -> None:
    fill("shop", 1, anomaly_share=0.5)
    fill("real", 1, min_lines=20, max_lines=20)  # the same seed: the same teams, who word things alike
    found = ask("--dataset", "shop", "--real", "real")
    assert found["auc"]["lengths"] > 0.95
    assert found["auc"]["language"] < 0.6
    assert found["options"][0]["options"] == {"min_lines": 20, "max_lines": 20}
    assert found["options"][0]["after"] < 0.7
    assert found["options"][0]["total"] > 0.05
    assert found["coverage"]["equal"] > 0.3
    assert found["transfer"].keys() == {"synthetic", "real", "guess"}
    assert found["transfer"]["real"]["sequences"] == 60
    row = Gap.objects.get()
    assert (row.dataset.name, row.real.name, row.values) == ("shop", "real", {k: found[k] for k in row.values})

    # A second look replaces the first; without labels nothing is trained, and a dataset from elsewhere has no options.
    Label.objects.filter(sequence__dataset__name="shop").delete()
    Dataset.objects.filter(name="shop").update(name="elsewhere")
    ask("--dataset", "elsewhere", "--real", "real")
    row.refresh_from_db()
    assert (row.values["generated"], row.values["options"]) == (False, [])
    assert row.values["transfer"] == {"missing": "synthetic", "normal": 0, "anomalous": 0}


@pytest.mark.parametrize(
    ("dataset", "real", "message"),
    [
        ("few", "few", "name two datasets"),
        ("few", "nowhere", "no dataset nowhere; there are: few"),
        ("few", "other", "a sample of few holds 1 sequences"),
    ],
)
def test_what_cannot_be_compared_says_why(dataset: str, real: str, message: str) -> None:
    from duolog.plugins.types import LogSequence, NullContext
    from logs import datasets, ingest
    from workers.models import Run

    run = Run.objects.create(project="default", job="import-data", status="succeeded")
    for name in {"few", real} - {"nowhere"}:
        staged = ingest.stage([LogSequence("a", ("x",))], source=Label.Source.IMPORT, origin="", ctx=NullContext())
        with transaction.atomic():
            staged.commit(datasets.get_or_create(project="default", name=name), run)
    with pytest.raises(CommandError, match=message):
        ask("--dataset", dataset, "--real", real)
