"""`starter`: one command to a model that works without labels of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from detection.models import ModelVersion
from logs.models import Dataset, Sequence
from training.management.commands import starter


@pytest.fixture(autouse=True)
def few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """One deployment: lines are what takes time here."""
    monkeypatch.setitem(starter.SHOP, "teams", 1)


def test_it_publishes_a_champion_that_detects_in_a_plain_log(shop: Any, ask: Any, tmp_path: Path, capsys: Any) -> None:
    answer = ask("starter", "--count", 100)
    assert answer["model"] == "starter:1"
    assert answer["metrics"]["sequences"] == 10
    version = ModelVersion.objects.get(name="starter")
    assert version.aliases.get().alias == "champion"
    assert version.metrics.keys() == {"starter:validation", "starter:test"}
    dataset = Dataset.objects.get(name="starter")
    assert {part.name for part in dataset.splits.all()} == {"train", "validation", "test"}
    log = tmp_path / "app.log"
    log.write_text("\n".join(Sequence.objects.filter(dataset__name="shop")[0].entries))
    capsys.readouterr()
    call_command("detect", "--model", "starter@champion", str(log), "--json")
    (row,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert 0 <= row["score"] <= 1


def test_the_same_command_gives_the_same_logs_and_the_next_version(shop: Any, ask: Any) -> None:
    held = Dataset.objects.get(name="starter").sequences.count()
    assert ask("starter", "--count", 100)["model"] == "starter:2"
    assert Dataset.objects.get(name="starter").sequences.count() == held
