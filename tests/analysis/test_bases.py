"""Bases of other families than the built-in one: each learns, is merged, and writes; random weights, so only shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_bases
import torch

from analysis.analysts.local import LocalOptions
from analysis.engine import finetune, language_model
from analysis.engine.compact import Compact
from analysis.engine.finetune import Lesson
from analysis.engine.language_model import LanguageModel
from analysis.engine.writing import Task, Writer
from duolog.plugins.types import NullContext

READ = Compact("1 stock-service W +2513 deduct stock: started", {0: "deduct stock: started"})


def opened(folder: Path, rank: int) -> LanguageModel:
    model = LanguageModel(folder, rank=rank)
    model.knows(["正常", "磁盘空间不足"], model.ids("the disk is full.中文:磁盘满了。\n[0123456789]"))
    return model


def lessons(model: LanguageModel) -> list[Lesson]:
    prompt = model.ids(READ.text, first=True)
    return [Lesson(prompt[:20], 0, [], []), Lesson(prompt, 1, model.ids("磁盘"), model.ids("the disk is full.\n"))]


@pytest.fixture(params=tiny_bases.FAMILIES)
def base(request: Any, tmp_path: Path) -> Path:
    return tiny_bases.write(tmp_path / "base", request.param)


def test_it_learns_and_is_merged_and_exported(base: Path, tmp_path: Path) -> None:
    model = opened(base, 4)
    taught = lessons(model)
    zero = finetune.judge(model, taught, 2, NullContext()).logits
    options = LocalOptions(batch=2, epochs=8.0, texts=0.5, learning_rate=0.01, evaluations=2)
    finetune.tune(model, taught, taught, options, NullContext())
    apart = finetune.judge(model, taught, 2, NullContext()).logits
    assert abs(apart - zero).max() > 0.01

    again = opened(base, 4)
    again.adapt(model.adapter())
    again.merge()
    merged = finetune.judge(again, taught, 2, NullContext()).logits
    assert abs(merged - apart).max() < 0.05 * abs(apart).max()  # bfloat16 has 8 bits

    (out := tmp_path / "exported").mkdir()
    language_model.export(base, 4, model.adapter(), out)
    exported = finetune.judge(opened(out, 0), taught, 2, NullContext()).logits
    assert abs(exported - apart).max() < 0.05 * abs(apart).max()
    assert not any("head" in name or "embed" in name for name in model.adapter())


def test_a_text_is_the_same_with_and_without_the_cache(base: Path) -> None:
    model = opened(base, 0)
    prompts = [model.ids(READ.text, first=True), model.ids(READ.text + "\n类型:", first=True)]
    written = Writer(model).write([Task(prompt, READ) for prompt in prompts], lambda number, text: None)
    assert all(count > 0 for _text, count in written)

    # One step of the cache against reading it all again.
    row = prompts[0]
    with torch.inference_mode():
        whole = model.hidden([row])[0, -1]
        ids = torch.tensor([row])
        first = model.decoder(input_ids=ids[:, :-1], use_cache=True)
        last = model.decoder(input_ids=ids[:, -1:], past_key_values=first.past_key_values, use_cache=True)
    assert last.last_hidden_state[0, -1].float().numpy() == pytest.approx(whole.float().numpy(), abs=0.1)


def test_the_prompt_begins_as_the_family_expects(base: Path) -> None:
    model = opened(base, 0)
    begins = model.model.config.model_type in tiny_bases.BEGINS
    assert (model.ids("disk", first=True)[0] == 1) == begins
    assert model.ids("disk")[0] != 1


def test_a_base_that_brings_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"model_type": "baichuan", "architectures": ["BaichuanForCausalLM"],'
        ' "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}}'
    )
    (tmp_path / "evil.py").write_text("raise SystemExit('code of a model ran')")
    with pytest.raises(ValueError, match=r"'baichuan'.*never run"):
        LanguageModel(tmp_path)
