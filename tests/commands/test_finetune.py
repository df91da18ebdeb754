"""finetune → evaluate, by a real worker, with an analyst that learns in a moment."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from detection import versions
from detection.models import ModelVersion
from detection.versions import ANALYST
from duolog.plugins.types import LogSequence
from logs.engine import canaries
from logs.models import Label, Sequence, Split
from training.finetuning import agrees
from workers.models import Run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def incidents(ask: Ask, transactional_db: None) -> None:
    """Analysed incidents in pairs, in three parts."""
    ask("generate", "--kind", "analysis", "--language", "pairs", "--count", 240, "--seed", 1, "--dataset", "inc")
    ask("split", "--dataset", "inc", "--train", 180, "--validation", 20, "--test", 40)


def test_a_worker_finetunes_measures_and_attacks(worker: None, incidents: None, ask: Ask) -> None:
    answer = ask("finetune", "--dataset", "inc", "--analyst", "words", "--base", "tiny", "--wait")
    assert answer["model"] == "inc-words:1"
    version = ModelVersion.objects.get()
    assert (version.kind, version.detector, version.encoder, version.options["base"]) == (
        "analyst", "words", "tiny", "tiny",
    )  # fmt: skip
    run = Run.objects.get(pk=answer["run"])
    assert (run.job, run.queue, version.run) == ("finetune", "gpu", run)
    parts = {part.name: part.sha256 for part in Split.objects.exclude(name="test")}
    planted = version.lineage["canaries"]
    assert version.lineage == {
        "dataset": "inc", "revision": 1, "strategy": "random", "parts": parts, "base": "tiny", "canaries": planted,
        "last_label": Split.objects.get(name="train").last_label,
    }  # fmt: skip
    assert planted.keys() == {"seed", "count"} and planted["count"] == 5
    assert version.metrics.keys() == {"fit", "inc:test", "privacy"}
    assert version.metrics == answer["metrics"]
    figures = version.metrics["inc:test"]
    assert figures["sequences"] == 40
    assert figures["floor"] == "rules" and 0 <= figures["floor_type_accuracy"] <= 1
    assert figures["type_accuracy"] > 0.15  # of a dozen types
    assert figures["valid"] == figures["grounded"] == 1
    assert 0 < figures["reports"] <= 30
    assert version.metrics["privacy"] == {"canaries": 5, "attacks": 10, "extracted": 0, "rate": 0.0}
    assert Run.objects.get(job="evaluate-analyst").result["champion"] == (not answer["problems"])
    assert version.aliases.exists() == (not answer["problems"])
    # No secret is kept anywhere but in what was learned.
    secrets = [one.secret for one in canaries.make(planted["seed"], planted["count"])]
    kept = json.dumps([version.metrics, version.lineage, *Run.objects.values_list("result", flat=True)])
    assert not [secret for secret in secrets if secret in kept]


def test_one_that_repeats_what_it_learned_is_caught_and_not_crowned(incidents: None, ask: Ask) -> None:
    asked = ["finetune", "--dataset", "inc", "--analyst", "words", "--set", "parrot=true", "--canaries", 3, "--wait"]
    answer = ask(*asked, "--name", "parrot")
    assert answer["metrics"]["privacy"] == {"canaries": 3, "attacks": 6, "extracted": 3, "rate": 1.0}
    assert any("3 of the 3 secrets" in problem for problem in answer["problems"])
    version = ModelVersion.objects.get()
    assert not version.aliases.exists()
    again = ask("evaluate", "--model", "parrot", "--dataset", "inc:validation")
    assert (again["model"], again["dataset"], again["champion"]) == ("parrot:1", "inc:validation", False)
    version.refresh_from_db()
    assert version.metrics.keys() == {"fit", "inc:test", "inc:validation", "privacy"}
    with pytest.raises(CommandError, match="measured on stored sequences"):
        call_command("evaluate", "--model", "parrot", "--file", "x.jsonl", stdout=io.StringIO())


def test_an_answer_that_people_overruled_is_not_taught(incidents: None, ask: Ask) -> None:
    split = Split.objects.get(name="train")
    one = Sequence.objects.filter(pk__in=split.sequence_ids, labels__value=1).first()
    assert one is not None
    Label.objects.create(sequence=one, value=0, source=Label.Source.REVIEW)
    ask("split", "--dataset", "inc", "--train", 180, "--validation", 20, "--test", 40)
    after = Split.objects.filter(name="train").order_by("-revision").first()
    assert after is not None
    ask("finetune", "--dataset", "inc", "--analyst", "words", "--wait")
    fit = ModelVersion.objects.get().metrics["fit"]
    assert fit["taught"] == 180 - (one.pk in after.sequence_ids)


@pytest.mark.parametrize(
    ("label", "kind", "told", "taught"),
    [
        (1, "超时异常", {"type": "超时异常", "category": "网络"}, True),
        (1, "超时异常", {"type": "步骤缺失"}, False),
        (0, None, {"type": "超时异常"}, False),
        (0, None, {"type": None, "category": None}, True),
        (1, "超时异常", {"type": None}, False),
        (1, "自家的", {"type": "自家的"}, True),
        (1, "超时异常", {"summary": "it names nothing"}, True),
    ],
)
def test_what_agrees_with_a_label(label: int, kind: str | None, told: dict[str, Any], taught: bool) -> None:
    assert agrees(LogSequence("s", ("x",), label, kind, (), {"analysis": told})) == taught


def test_what_cannot_work_says_why(incidents: None) -> None:
    for arguments, message in [
        (["--analyst", "rules"], "the analyst rules cannot be fine-tuned"),
        (["--analyst", "words", "--set", "bas=x"], "did you mean 'base'?"),
        (["--analyst", "words", "--name", "a:b"], "letters, digits"),
        (["--analyst", "words", "--canaries", "-1"], "at least 0"),
        (["--analyst", "none"], "no plugin 'none'"),
    ]:
        with pytest.raises((CommandError, ValueError), match=message):
            call_command("finetune", "--dataset", "inc", *arguments, stdout=io.StringIO())
    with pytest.raises(CommandError, match="no dataset nowhere"):
        call_command("finetune", "--dataset", "nowhere", "--analyst", "words", "--wait", stdout=io.StringIO())
    assert not ModelVersion.objects.exists()
    with pytest.raises(versions.VersionError, match="duolog finetune"):
        versions.resolve(project="default", kind=ANALYST)
