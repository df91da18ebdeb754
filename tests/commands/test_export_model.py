"""`duolog export_model`: a fine-tuned model that anybody's transformers can load, and says the same."""

from __future__ import annotations

import io
import json
from pathlib import Path
from uuid import uuid4

import pytest
import tiny_bases
import torch
from django.core.management import CommandError, call_command

from analysis.analysts.local import Local, LocalOptions
from detection.models import ModelVersion
from workers import store

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(tmp_path: Path) -> ModelVersion:
    """A model of two types on a tiny base, whose adapter is not nothing."""
    base = tiny_bases.write(tmp_path / "base", "qwen3")
    analyst = Local(LocalOptions(base=str(base), rank=4))
    analyst._open(4)
    model = analyst._ready
    model.knows(["正常", "磁盘空间不足"], [])
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    kept = store.write(folder=f"runs/{uuid4()}", name="model", save=analyst.save)
    return ModelVersion.objects.create(
        name="talk", number=1, kind=ModelVersion.Kind.ANALYST, detector="local",
        options={"base": str(base), "rank": 4}, path=kept.path, sha256=kept.sha256,
    )  # fmt: skip


def test_the_folder_says_what_the_analyst_says(version: ModelVersion, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    said = io.StringIO()
    call_command("export_model", "--model", "talk:1", "--out", tmp_path / "out", "--json", stdout=said)
    assert json.loads(said.getvalue()) == {"model": "talk:1", "folder": str(tmp_path / "out")}

    analyst = Local(LocalOptions(**version.options))
    analyst.load(store.locate(version.path))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")
    assert model.dtype == torch.bfloat16 and not hasattr(model, "peft_config")
    ids = AutoTokenizer.from_pretrained(tmp_path / "out")("disk is full", return_tensors="pt").input_ids
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype="auto")
    with torch.inference_mode():
        ours, theirs, base = (one(input_ids=ids).logits.float() for one in (analyst._ready.model, model, plain))
    assert abs(ours - theirs).max() < 0.1 * abs(ours).max()
    assert abs(ours - base).max() > 0.3 * abs(ours).max()


def test_nothing_is_overwritten(version: ModelVersion, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is not empty"):
        call_command("export_model", "--model", "talk:1", "--out", tmp_path / "base")


def test_models_of_other_analysts_cannot_be_exported(version: ModelVersion, tmp_path: Path) -> None:
    ModelVersion.objects.update(detector="echo", options={})
    with pytest.raises(CommandError, match="only those of local"):
        call_command("export_model", "--model", "talk:1", "--out", tmp_path / "out")
