"""`refresh`: a detector without labels follows its stream, but not into an outage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from detection.models import ModelVersion, Scan
from logs.models import Label, Sequence
from training import refresh
from workers.console import perform

OLD = ("INFO order created", "INFO payment taken", "INFO parcel sent")
NEW = (*OLD[:2], "INFO invoice archived", OLD[2])
BROKEN = (OLD[0], "FATAL disk full, giving up")


def store(dataset: str, *sequences: tuple[str, ...]) -> list[Sequence]:
    """Add sequences to a dataset; numbers keep their keys apart."""
    from logs import datasets

    home = datasets.get_or_create(project="default", name=dataset)
    start = home.sequences.count()
    rows = [
        Sequence(dataset=home, key=f"{dataset}-{start + number}", entries=[*lines], length=len(lines))
        for number, lines in enumerate(sequences)
    ]
    return Sequence.objects.bulk_create(rows)


@pytest.fixture
def stream(shop: Any, ask: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    """A dataset of 60 sequences, learned by a version of its own name and scanned by it."""
    name = request.node.name.replace("_", "-")[-40:].strip("-")
    store(name, *[OLD] * 60)
    ask("train", "--dataset", name, "--detector", "neighbours", "--name", name, "--wait")
    return name


def scanned(name: str) -> Scan:
    return Scan.objects.get(pk=perform(job="scan", options={"dataset": name, "model": name}).result["scan"])


def test_a_refreshed_version_knows_what_is_new_and_goes_live(stream: str, ask: Any) -> None:
    added = store(stream, *[NEW, OLD] * 20)
    assert scanned(stream).anomalous == 20
    answer = ask("refresh", "--dataset", stream, "--model", stream, "--sequences", 40)
    assert answer["promoted"]
    assert (answer["model"], answer["refreshed"]) == (f"{stream}:2", f"{stream}:1")
    assert (answer["sequences"], answer["left_out"], answer["before"]) == (40, 0, 40)
    version = ModelVersion.objects.get(name=stream, number=2)
    assert version.aliases.get().alias == "champion"
    assert version.changes.get().reason.startswith(f"refreshed from {stream}:1: alarms on 0.0%")
    assert (version.lineage["refreshed"], version.lineage["dataset"]) == (f"{stream}:1", stream)
    assert not scanned(stream).anomalous
    assert len(added) == 40


def test_what_was_flagged_or_confirmed_is_not_learned(stream: str, ask: Any) -> None:
    store(stream, *[OLD] * 36)
    wrong, right = store(stream, BROKEN, BROKEN)
    confirmed, _ = store(stream, OLD, OLD)
    Label.objects.create(sequence=right, value=0, source=Label.Source.REVIEW)  # a person says that it is normal
    Label.objects.create(sequence=confirmed, value=1, source=Label.Source.REVIEW)
    scan = scanned(stream)
    assert scan.anomalous == 2
    found = refresh.windows(scan, 40)
    learned = {sequence.meta["pk"] for sequence in found.data.train}
    assert found.left_out == 2
    assert right.pk in learned
    assert not {wrong.pk, confirmed.pk} & learned


def test_an_outage_that_fills_the_window_does_not_become_usual(stream: str, ask: Any) -> None:
    store(stream, *[BROKEN] * 40)
    assert scanned(stream).anomalous == 40
    answer = ask("refresh", "--dataset", stream, "--model", stream, "--sequences", 40)
    assert answer["alarms_before"] > refresh.MOST_ALARMS
    assert not answer["promoted"]
    assert ModelVersion.objects.get(name=stream, number=1).aliases.get().alias == "champion"


def test_it_takes_a_scan_and_a_detector_without_labels(stream: str) -> None:
    for model, dataset, message in [
        (stream, stream, f"{stream}:1 has not scanned {stream}"),
        ("shop-moe", "shop", "only a detector without labels"),
        (stream, "shop:test", "only a detector without labels"),
    ]:
        with pytest.raises(CommandError, match=message):
            call_command("refresh", "--dataset", dataset, "--model", model)
