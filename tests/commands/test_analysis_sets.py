"""`generate --kind analysis` and `export --names source`, as a person or a script runs them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.postgres.aggregates import ArrayAgg
from django.core.management import CommandError, call_command

from logs.files import open_records
from logs.models import Dataset, Sequence, Split
from training.generators.microservices import anomaly_types

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: Any, capsys: Any) -> dict[str, Any]:
    call_command(*map(str, arguments), "--json")
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_an_analysis_set_is_an_ordinary_dataset_with_explanations(capsys: Any, tmp_path: Path) -> None:
    ask = ("generate", "--kind", "analysis", "--count", 160, "--seed", 5, "--dataset", "inc", "--language", "pairs")
    assert run(*ask, "--set", "normal_share=0.5", capsys=capsys)["sequences"] == 160
    assert Sequence.objects.filter(meta__has_key="analysis").count() == 160
    assert Sequence.objects.filter(labels__value=0).count() == 80
    assert run(*ask, "--set", "normal_share=0.5", capsys=capsys)["duplicates"] == 160
    split = run("split", "--dataset", "inc", capsys=capsys)
    assert split["leakage"] == {"validation": 0, "test": 0}
    parts = [set(part.sequence_ids) for part in Split.objects.filter(dataset__name="inc")]
    told = Sequence.objects.values_list("meta__incident").annotate(pks=ArrayAgg("pk"))
    assert len(told) == 80  # the two languages of one incident are in one part
    assert all(sum(not part.isdisjoint(pks) for part in parts) == 1 for _incident, pks in told)

    files = run("export", "--dataset", "inc", "--out", tmp_path, "--names", "source", capsys=capsys)["files"]
    assert {Path(file).name: count for file, count in files.items()} == {
        f"{name}.{kind}": 160
        for name in ("anomaly_classification_dataset", "unsloth_training_data")
        for kind in ("json", "csv")
    }
    rows = json.loads((tmp_path / "anomaly_classification_dataset.json").read_bytes())
    assert {row["anomaly_type"] for row in rows} == {None, *anomaly_types()}
    assert json.loads((tmp_path / "unsloth_training_data.json").read_bytes())[0].keys() == {
        "instruction", "input", "output"
    }  # fmt: skip
    back = {one.id: one for one in open_records(tmp_path / "anomaly_classification_dataset.json").records}
    stored = Sequence.objects.get(key=rows[0]["sequence_id"])
    assert back[stored.key].meta == stored.meta
    for name, columns in (("anomaly_classification_dataset", 11), ("unsloth_training_data", 3)):
        with (tmp_path / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
            table = list(csv.reader(stream))
        assert (len(table), {len(row) for row in table}) == (161, {columns})
    again = list(open_records(tmp_path / "anomaly_classification_dataset.csv").records)
    assert [(one.id, one.entries, one.label, one.type) for one in again] == [
        (one.id, one.entries, one.label, one.type) for one in back.values()
    ]


def test_every_answer_of_the_exports_is_grounded_in_its_input(capsys: Any, tmp_path: Path) -> None:
    for language in ("zh", "en", "mixed"):
        run("generate", "--kind", "analysis", "--count", 128, "--dataset", language, "--language", language,
            capsys=capsys)  # fmt: skip
        run("export", "--dataset", language, "--out", tmp_path / language, "--names", "source", "--format", "alpaca",
            capsys=capsys)  # fmt: skip
        rows = json.loads((tmp_path / language / "unsloth_training_data.json").read_bytes())
        assert len(rows) == 128
        for row in rows:
            assert set(re.findall(r"\d+(?:\.\d+)*", row["output"])) <= set(re.findall(r"\d+(?:\.\d+)*", row["input"]))
            assert all(name in row["input"] for name in re.findall(r"[a-z]+-service|gateway", row["output"]))
            assert all(host in row["input"] for host in re.findall(r"node-[\w.]+|[\d.]+:\d+", row["output"]))
        assert sorted(path.name for path in (tmp_path / language).iterdir()) == [
            "unsloth_training_data.csv",
            "unsloth_training_data.json",
        ]


def test_a_dataset_is_exported_under_the_seed_s_names(capsys: Any, tmp_path: Path) -> None:
    run("generate", "--count", 100, "--dataset", "d", capsys=capsys)
    assert len(run("export", "--dataset", "d", "--out", tmp_path, "--names", "source", capsys=capsys)["files"]) == 2
    run("split", "--dataset", "d", capsys=capsys)
    with pytest.raises(CommandError, match=r"log_sequences_strings\.json is there already"):
        run("export", "--dataset", "d", "--out", tmp_path, "--names", "source", capsys=capsys)
    assert not (tmp_path / "train_data.json").exists()
    answer = run("export", "--dataset", "d", "--out", tmp_path, "--names", "source", "--force", capsys=capsys)
    sizes = {"log_sequences_strings": 100, "train_data": 80, "validation_data": 10, "test_data": 10}
    assert {Path(file).name: count for file, count in answer["files"].items()} == {
        f"{name}.{kind}": size for name, size in sizes.items() for kind in ("json", "csv")
    }
    for name, size in sizes.items():
        for kind in ("json", "csv"):
            found: list[Any] = list(open_records(tmp_path / f"{name}.{kind}").records)
            assert (len(found), {one.label for one in found}) == (size, {0, 1})
    assert set(json.loads((tmp_path / "train_data.json").read_bytes())[0]) >= {"log_sequence", "label"}
    assert list(json.loads((tmp_path / "log_sequences_strings.json").read_bytes())[0])[-2:] == ["length", "log_entries"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--language", "pairs"], "pairs"),
        (["--set", "teams"], "key=value"),
        (["--set", "team=3"], "did you mean 'teams'"),
        (["--generator", "nope"], "no plugin 'nope'"),
        (["--kind", "analysis", "--set", "normal_share=3"], "normal_share"),
        (["--kind", "analysis", "--set", "types=[]", "--set", "teams=0"], "teams"),
    ],
)
def test_generate_says_what_is_wrong(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("generate", "--count", "5", "--dataset", "x", *arguments)
    assert not Dataset.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "d:train"], "name the dataset"),
        (["--dataset", "d", "--format", "alpaca"], "there are: seed, training"),
    ],
)
def test_export_says_what_is_wrong(arguments: list[str], message: str, capsys: Any, tmp_path: Path) -> None:
    run("generate", "--count", 50, "--dataset", "d", capsys=capsys)
    run("split", "--dataset", "d", capsys=capsys)
    with pytest.raises(CommandError, match=message):
        call_command("export", *arguments, "--out", str(tmp_path / "x"), "--names", "source")
    assert not (tmp_path / "x").exists()
