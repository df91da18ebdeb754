"""Verdicts become the next division and the next version: from a stream that nobody labelled to a better shadow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from streaming import BACKWARDS, TIMEOUT, kind, store

from detection import learning as news
from detection import versions
from detection.engine.metrics import evaluate
from detection.models import AliasChange, ModelAlias, ModelVersion, Scan
from duolog.plugins.types import NullContext
from logs import datasets
from logs.models import Dataset, Label, Sequence, Split
from training import learning
from workers.console import perform

pytestmark = pytest.mark.slow

SMALL = {"hidden": 32, "intermediate": 16, "experts": 2, "batch": 16, "learning_rate": 1e-3}
VERDICTS = 90


def judge(rows: list[Sequence]) -> None:
    """State what settled items do, one a sequence."""
    kinds = [kind(int(row.key[1:])) or "" for row in rows]
    Label.objects.bulk_create(
        Label(sequence=row, value=int(bool(said)), type=said, source="review", statement=uuid4())
        for row, said in zip(rows, kinds, strict=True)
    )


def members() -> dict[int, dict[str, set[int]]]:
    found: dict[int, dict[str, set[int]]] = {}
    for split in Split.objects.filter(dataset__name="stream"):
        found.setdefault(split.revision, {})[split.name] = set(split.sequence_ids)
    return found


def champion() -> ModelVersion:
    return ModelVersion.objects.get(name="m", aliases__alias="champion")


def refused(**options: Any) -> str:
    with pytest.raises(CommandError) as caught:
        perform(job="learn", options=options)
    return str(caught.value)


@pytest.fixture(scope="module")
def told(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, Any]]:
    """All that happens: a champion without labels, verdicts, `learn`; some are withdrawn, others come, and again."""
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "FIRST", ("moe", SMALL))
        rows = store(0, 400)
        perform(job="fit-detector", options={"dataset": "stream", "detector": "neighbours", "name": "m"})
        perform(job="scan", options={"dataset": "stream", "model": "m"})
        story: dict[str, Any] = {"too early": refused()}
        judge([row for row in rows[:VERDICTS] if kind(int(row.key[1:]))])
        story["one label only"] = refused()
        judge([row for row in rows[:VERDICTS] if not kind(int(row.key[1:]))])
        (story["before"],) = news.news([champion()])
        story["first"] = perform(job="learn").result
        story["after"] = news.news([champion()])
        story["nothing new"] = refused(dataset="stream")
        story["withdrawn"] = Label.objects.filter(sequence__in=members()[1]["train"]).order_by("pk")[:3]
        story["withdrawn"] = list(story["withdrawn"].values_list("sequence", flat=True))
        Label.objects.filter(sequence__in=story["withdrawn"]).delete()
        judge(rows[VERDICTS : VERDICTS + 30])
        story["second"] = perform(job="learn", options={"model": "m@shadow"}).result
        yield story
        call_command("flush", interactive=False, verbosity=0)


@pytest.mark.django_db
def test_what_is_new_is_counted_by_type_and_a_retrain_suggested(told: dict[str, Any]) -> None:
    found = told["before"]
    assert {(each.anomalous, each.type): each.verdicts for each in found.kinds} == {
        (False, ""): 72, (True, BACKWARDS): 12, (True, TIMEOUT): 6,
    }  # fmt: skip
    assert (found.dataset.name, found.verdicts, found.sequences, found.revision) == ("stream", 90, 90, None)
    assert found.suggested
    assert told["after"] == []


def test_the_verdicts_are_in_the_next_division_and_nothing_is_in_two_parts(told: dict[str, Any]) -> None:
    first, parts = told["first"], members()[1]
    assert (first["model"], first["after"], first["revision"], first["verdicts"]) == ("m:2", "m:1", 1, 90)
    assert first["types"] == {"normal": 72, BACKWARDS: 12, TIMEOUT: 6}
    assert first["parts"] == {name: len(found) for name, found in parts.items()}
    assert sum(first["parts"].values()) == VERDICTS == len(set.union(*parts.values()))
    said: dict[tuple[str, ...], set[str]] = {}
    for name, found in parts.items():
        for row in Sequence.objects.filter(pk__in=found):
            said.setdefault(tuple(row.entries), set()).add(name)
    assert all(len(names) == 1 for names in said.values())


def test_the_candidate_is_the_shadow_and_the_champion_stays(told: dict[str, Any]) -> None:
    assert champion().number == 1
    assert ModelAlias.objects.get(name="m", alias="shadow").version.number == 3
    reasons = (
        AliasChange.objects.filter(name="m", alias="shadow").order_by("id").values_list("version__number", "reason")
    )
    assert list(reasons) == [(2, "learned from 90 verdicts"), (3, "learned from 30 verdicts")]


def test_both_were_measured_on_the_same_sequences_and_the_candidate_is_better(told: dict[str, Any]) -> None:
    for where in ("stream:test", "stream:reviewed"):
        compared = told["first"]["compared"][where]
        assert compared["candidate"]["f1"] > compared["champion"]["f1"]
    figures = ModelVersion.objects.get(name="m", number=3).metrics["stream:test"]
    live = figures["champion"]
    assert live["version"] == "m:2"  # the one that was named
    assert {kind: found["sequences"] for kind, found in figures["types"].items()} == {
        kind: found["sequences"] for kind, found in live["types"].items()
    }


def test_it_is_better_on_what_nobody_reviewed(told: dict[str, Any]) -> None:
    unseen = [one for one in datasets.read(Dataset.objects.get(name="stream")) if int(one.id[1:]) >= VERDICTS + 30]
    truth = [bool(kind(int(one.id[1:]))) for one in unseen]
    f1 = []
    for number in (1, 2):
        loaded = versions.load(ModelVersion.objects.get(name="m", number=number))
        f1.append(evaluate(truth, loaded.score(unseen, NullContext()), loaded.threshold)["f1"])
    assert f1[0] < 0.6 and f1[1] > 0.8


def test_what_it_says_of_the_reviewed_sequences_is_kept(told: dict[str, Any]) -> None:
    scan = Scan.objects.get(version__name="m", version__number=2)
    assert (scan.part, scan.sequences, scan.run.job if scan.run else "") == ("reviewed", VERDICTS, "learn")
    assert scan.scores.count() == VERDICTS


def test_further_verdicts_leave_the_others_where_they_were_and_withdrawn_ones_go(told: dict[str, Any]) -> None:
    first, second = members()[1], members()[2]
    gone = set(told["withdrawn"])
    assert told["second"]["withdrawn"] == len(gone) == 3
    for name in ("train", "validation", "test"):
        assert first[name] - gone <= second[name]
    assert len(set.union(*second.values())) == VERDICTS + 30 - 3
    lineage = Split.objects.get(dataset__name="stream", revision=2, name="train").lineage
    assert (lineage["extends"], lineage["labels"]["review"]) == (1, VERDICTS + 30 - 3)
    kept = ModelVersion.objects.get(name="m", number=3).lineage
    assert (kept["revision"], kept["after"], kept["verdicts"]) == (2, "m:2", 30)


def test_without_anything_new_it_says_what_to_do(told: dict[str, Any]) -> None:
    assert "no verdict is new to m:1: review its findings" in told["too early"]
    assert "no sequence with the label normal" in told["one label only"]
    assert "m:2 has learned from all verdicts on stream already: review more" in told["nothing new"]


def test_a_part_and_a_stranger_are_refused(told: dict[str, Any]) -> None:
    assert "is a part already" in refused(dataset="stream:test")
    assert "no dataset nowhere" in refused(dataset="nowhere")


def test_the_command_tells_what_came_of_it(told: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match="m:3 has learned from all verdicts on stream already"):
        call_command("learn", "--dataset", "stream")


def test_asked_for_twice_it_is_one_run(told: dict[str, Any]) -> None:
    rows = list(Sequence.objects.order_by("pk")[200:202])
    judge(rows)
    (found,) = news.news([champion()])
    assert (found.verdicts, found.suggested, found.revision) == (2, False, 2)
    first, second = news.start(champion()), news.start(champion(), found.dataset)
    assert first == second
    assert first.options == {"dataset": "stream", "model": "m:1"}
    first.delete()
    Label.objects.filter(sequence__in=rows).delete()
