"""generate → split → train → evaluate, as a person or a script runs them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from detection.engine.floors import FLOORS, LABELLED
from detection.models import ModelVersion
from logs import datasets
from logs.models import Dataset, Sequence, Split
from training.engine.split import content, digest
from workers.models import Run


def test_generate_says_what_it_added_and_doubles_nothing(shop: Any, ask: Any, generate: list[str]) -> None:
    assert shop["generate"]["sequences"] == 300
    assert 0 < shop["generate"]["anomalous"] < 300
    again = ask(*generate, "--count", 300, "--dataset", "shop")
    assert (again["sequences"], again["duplicates"]) == (0, 300)


def test_split_keeps_parts_with_their_hash(shop: dict[str, Any]) -> None:
    sizes = {"train": 180, "validation": 60, "test": 60}
    answer = {**shop["split"]}
    assert answer.pop("leakage").keys() == {"validation", "test"}
    assert answer == {**sizes, "dataset": "shop", "revision": 1, "strategy": "random", "asked": sizes}
    for part in Split.objects.all():
        assert part.sha256 == digest(map(content, datasets.read(part.dataset, part)))


def test_train_ends_with_the_model_and_how_good_it_is(shop: dict[str, Any]) -> None:
    answer = shop["train"]
    assert answer["model"] == "shop-moe:1"
    assert Run.objects.get(pk=answer["run"]).job == "fit-detector"
    assert answer["metrics"]["f1"] > 0.9
    version = ModelVersion.objects.get(name="shop-moe")
    assert version.options["epochs"] == 4
    assert version.distribution == "duolog"
    assert version.aliases.get().alias == "champion"
    parts = {part.name: part.sha256 for part in Split.objects.exclude(name="test")}
    last = Split.objects.get(name="train").last_label
    assert version.lineage == {
        "dataset": "shop", "revision": 1, "strategy": "random", "parts": parts, "last_label": last,
    }  # fmt: skip
    assert version.metrics.keys() == {"shop:validation"}


@pytest.mark.parametrize("model", ["shop-moe:1", "shop-moe@champion", "shop-moe", ""])
def test_evaluate_takes_the_test_part_and_any_way_to_name_a_model(shop: dict[str, Any], ask: Any, model: str) -> None:
    found = ask("evaluate", "--model", model, "--dataset", "shop")
    assert (found["model"], found["dataset"]) == ("shop-moe:1", "shop:test")
    assert found["f1"] > 0.9
    assert found["sequences"] == 60
    assert found.keys() >= {"precision", "recall", "accuracy", "pr_auc", "threshold", "anomalous", "leakage"}
    stored = ModelVersion.objects.get(name="shop-moe").metrics["shop:test"]
    assert stored.items() <= found.items()


def test_evaluate_says_by_how_much_the_model_beats_the_best_trivial_rival(shop: dict[str, Any], ask: Any) -> None:
    found = ask("evaluate", "--dataset", "shop")
    assert found["floor"] in {*FLOORS, *LABELLED}
    assert 0 < found["floor_f1"] <= 1
    assert 0 < found["floor_pr_auc"] <= 1
    assert found["over_floor"] == pytest.approx(found["f1"] - found["floor_f1"])
    assert shop["train"]["metrics"].keys() >= {"floor", "floor_f1", "floor_pr_auc", "over_floor"}
    out = io.StringIO()
    call_command("evaluate", "--dataset", "shop", stdout=out)
    assert f"over trivial: the best floor, {found['floor']}, has {found['floor_f1']:.4f}" in out.getvalue()


def test_evaluate_a_file_gives_the_same_figures_and_stores_nothing(
    shop: dict[str, Any], ask: Any, tmp_path: Path
) -> None:
    stored = ask("evaluate", "--dataset", "shop:train")
    assert stored["leakage"] == 1  # all of it was learned
    part = Split.objects.get(name="train")
    rows = Sequence.objects.filter(pk__in=part.sequence_ids).prefetch_related("labels")
    file = tmp_path / "train.jsonl"
    file.write_text(
        "\n".join(
            json.dumps({"sequence_id": row.key, "label": row.labels.get().value, "log_entries": row.entries})
            for row in rows
        ),
        encoding="utf-8",
    )
    before = Dataset.objects.count(), Run.objects.count()
    measured = ask("evaluate", "--file", file)
    for name in ("f1", "precision", "recall", "sequences", "anomalous", "leakage", "floor", "floor_f1"):
        assert measured[name] == stored[name]
    assert (Dataset.objects.count(), Run.objects.count()) == before


def test_train_makes_a_split_where_there_is_none_and_says_so(shop: Any, generate: list[str]) -> None:
    call_command(*generate, "--count", "60", "--dataset", "small")
    out, err = io.StringIO(), io.StringIO()
    call_command("train", "--dataset", "small", "--set", "epochs=1", "--name", "tiny", "--wait", stdout=out, stderr=err)
    assert "80/10/10" in err.getvalue()
    assert out.getvalue().startswith("trained tiny:1: F1 ")
    assert sorted(len(part.sequence_ids) for part in Split.objects.filter(dataset__name="small")) == [6, 6, 48]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--dataset", "nowhere"], "no dataset nowhere; there are: shop"),
        (["train", "--dataset", "shop", "--detector", "mooe"], "no plugin 'mooe'"),
        (["train", "--dataset", "shop", "--set", "epoch=3"], "did you mean 'epochs'?"),
        (["train", "--dataset", "shop", "--set", "epochs=many"], "epochs"),
        (["train", "--dataset", "shop", "--set", "epochs"], "key=value"),
        (["train", "--dataset", "shop", "--name", "a:b"], "letters, digits"),
        (["train", "--dataset", "shop:test", "--wait"], "name dataset shop only"),
        (["split", "--dataset", "shop", "--train", "900", "--validation", "50", "--test", "50"], "only 300"),
        (["split", "--dataset", "shop", "--train", "9"], "size for train and for validation"),
        (["split", "--dataset", "shop:test"], "is a part already"),
        (["generate", "--count", "0", "--dataset", "x"], "count"),
        (["evaluate", "--model", "shop-moe:7", "--dataset", "shop"], "known: shop-moe:1"),
        (["evaluate", "--model", "shop-moe@latest", "--dataset", "shop"], "known: shop-moe:1"),
        (["evaluate", "--model", "a b", "--dataset", "shop"], "name@alias"),
        (["evaluate", "--dataset", "shop:dev"], "train, validation, test"),
        (["evaluate", "--file", "/nowhere.log"], "No such file"),
        (["detect", "/nowhere.log"], "No such file"),
        (["detect", "/etc/hostname", "--session", "("], "regular expression"),
        (["detect", "/etc/hostname", "--window", "0"], "at least 1"),
        (["detect", "/etc/hostname", "--project", "other"], "no model has been trained yet"),
    ],
)
def test_what_cannot_work_says_why(shop: dict[str, Any], arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command(*arguments, stdout=io.StringIO())
    assert message in str(refused.value)
    assert refused.value.returncode == 1
