"""New verdicts on the pages, the button that learns from them, what a candidate is beside the champion, and REST."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User

from analysis.learned import what_changed
from detection import aliases
from detection.models import ModelVersion, Scan, Score
from logs.models import Label, Sequence, Split
from workers.models import Run


def say(tenant: Any, count: int, kind: str = "", *, each: int = 1, user: User | None = None) -> list[Sequence]:
    """Settle `count` items, each of which labels so many new sequences."""
    known = tenant.dataset.sequences.count()
    rows = Sequence.objects.bulk_create(
        Sequence(dataset=tenant.dataset, key=f"r{known + n}", entries=["x"], length=1) for n in range(count * each)
    )
    statements: list[UUID] = [uuid4() for _ in range(count)]
    Label.objects.bulk_create(
        Label(
            sequence=row, value=int(bool(kind)), type=kind, source="review", user=user, statement=statements[n // each]
        )
        for n, row in enumerate(rows)
    )
    return rows


def candidate(tenant: Any, rows: list[Sequence]) -> ModelVersion:
    """A shadow that learned from these sequences, in revision 2, and what it says of them."""
    last = Label.objects.latest("pk").pk
    common = {"dataset": tenant.dataset, "revision": 2, "seed": 0, "sha256": "0" * 64}
    lineage = {"labels": {"last": last}, "types": {"timeout": 1, "": 3}}
    Split.objects.create(name="train", sequence_ids=[row.pk for row in rows[1:]], lineage=lineage, **common)
    Split.objects.create(name="test", sequence_ids=[rows[0].pk], lineage=lineage, **common)
    figures = {
        "f1": 0.9, "precision": 0.8, "recall": 1.0, "pr_auc": 0.95, "sequences": 9, "threshold": 0.3,
        "types": {"normal": {"sequences": 6, "flagged": 1}, "timeout": {"sequences": 3, "flagged": 3}},
    }  # fmt: skip
    live = figures | {
        "f1": 0.4, "version": "m:1", "id": tenant.version.pk,
        "types": {"normal": {"sequences": 6, "flagged": 4}, "timeout": {"sequences": 3, "flagged": 1}},
    }  # fmt: skip
    version = ModelVersion.objects.create(
        project=tenant.project.slug, name="m", number=2, detector="moe", threshold=0.3,
        metrics={"ours-logs:reviewed": figures | {"champion": live}},
        lineage={
            "dataset": tenant.dataset.name, "revision": 2, "last_label": last, "after": "m:1", "verdicts": 24,
            "types": {"timeout": 20, "normal": 4},
        },
    )  # fmt: skip
    aliases.point(version, aliases.SHADOW)
    scan = Scan.objects.create(
        project=tenant.project.slug, version=version, dataset=tenant.dataset, part="reviewed", threshold=0.3,
        sequences=len(rows), anomalous=len(rows),
    )  # fmt: skip
    Score.objects.bulk_create(Score(scan=scan, sequence=row, value=0.97, anomalous=True, blame=[1.0]) for row in rows)
    return version


def page(client: Any, name: str, pk: int) -> str:
    answer = client.get(f"/admin/{name}/{pk}/change/")
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_what_is_new_stands_on_three_pages_with_one_button(browser, ours):
    say(ours, 18, "timeout")
    say(ours, 3, each=5)
    client = browser("engineer")
    for shown in (
        client.get("/admin/").content.decode(),
        page(client, "detection/modelversion", ours.version.pk),
        page(client, "logs/dataset", ours.dataset.pk),
    ):
        assert shown.count("Learn from 21 new verdicts") == 1
        assert "enough to learn from" in shown
        assert "33 sequences" in shown


def test_few_verdicts_or_of_one_kind_are_no_reason_to_retrain_and_may_be_learned_all_the_same(browser, ours, settings):
    say(ours, 30, "timeout")
    client = browser("engineer")
    assert "Learn from" not in client.get("/admin/").content.decode()  # no division knows a normal one
    say(ours, 1)
    assert "Learn from 31 new verdicts" in client.get("/admin/").content.decode()
    settings.LEARN_AFTER = 32
    assert "Learn from" not in client.get("/admin/").content.decode()
    shown = page(client, "detection/modelversion", ours.version.pk)
    assert "Learn from 31 new verdicts" in shown and "enough to learn from" not in shown


def test_a_type_that_no_version_knew_is_a_reason(browser, ours):
    candidate(ours, say(ours, 4, "timeout"))
    client = browser("engineer")
    say(ours, 20, "timeout")
    assert "Learn from" not in client.get("/admin/").content.decode()
    say(ours, 1, "slow query")
    assert "Learn from 21 new verdicts" in client.get("/admin/").content.decode()


def test_the_button_queues_one_run_for_engineers_only(browser, ours, theirs):
    say(ours, 2)
    address = f"/admin/detection/modelversion/{ours.version.pk}/do/learn/"
    viewer = browser("viewer")
    assert "Learn from" not in page(viewer, "detection/modelversion", ours.version.pk)
    assert viewer.post(address, {"dataset": ours.dataset.pk}).status_code == 403
    assert browser("stranger").post(address).status_code == 404
    client = browser("engineer")
    answers = [client.post(address, {"dataset": ours.dataset.pk}) for _ in range(2)]
    run = Run.objects.get(job="learn")
    assert {answer.headers["Location"] for answer in answers} == {f"/admin/workers/run/{run.pk}/change/"}
    assert (run.options, run.created_by.username) == ({"dataset": "ours-logs", "model": "m:1"}, "engineer")


def test_without_news_the_button_says_what_to_do(browser, ours):
    address = f"/admin/detection/modelversion/{ours.version.pk}/do/learn/"
    answer = browser("engineer").post(address, {"dataset": "9" * 30}, follow=True)
    assert "no verdict is new to m:1: review its findings first" in answer.content.decode()


def test_rest_tells_what_is_new_and_learns_from_it(api, ours):
    say(ours, 2, "timeout", each=3)
    place = f"/api/v1/model-versions/{ours.version.pk}/"
    (found,) = api("viewer").get(f"{place}monitoring/").data["news"]
    assert dict(found) == {
        "dataset": "ours-logs", "verdicts": 2, "sequences": 6, "suggested": False,
        "kinds": [{"anomalous": True, "type": "timeout", "verdicts": 2, "sequences": 6}],
    }  # fmt: skip
    assert api("reviewer").post(f"{place}learn/").status_code == 403
    assert api("stranger").post(f"{place}learn/").status_code == 404
    client = api("engineer")
    answers = [client.post(f"{place}learn/", {"dataset": name}) for name in ("ours-logs", "")]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].data["id"] == answers[1].data["id"]
    answer = client.post("/api/v1/runs/", {"project": "ours", "job": "learn", "options": {"dataset": "ours-logs"}})
    assert answer.status_code == 202


def test_a_candidate_stands_beside_the_champion_type_by_type(browser, ours):
    version = candidate(ours, say(ours, 4, "timeout"))
    shown = page(browser("viewer"), "detection/modelversion", version.pk)
    assert "Beside m:1" in shown and "It learned from 24 new verdicts." in shown
    assert f"?id={ours.version.pk}&amp;id={version.pk}" in shown
    assert "found: timeout" in shown
    assert '<td class="number">3</td><td class="number">1</td><td class="number success">3</td>' in shown
    assert '<td class="number">6</td><td class="number">4</td><td class="number success">1</td>' in shown  # alarms
    assert "Beside" not in page(browser("root"), "detection/modelversion", ours.version.pk)


def test_the_finding_page_tells_what_its_verdict_changed(browser, person, ours):
    client = browser("viewer")
    assert "What the verdict changed" not in page(client, "analysis/finding", ours.finding.pk)
    ada = person("reviewer")
    row = ours.finding.sequence
    Label.objects.create(sequence=row, value=1, type="timeout", source="review", user=ada, statement=uuid4())
    assert "not in a split yet" in page(client, "analysis/finding", ours.finding.pk)
    candidate(ours, [*say(ours, 1), row])
    shown = page(client, "analysis/finding", ours.finding.pk)
    assert "Labelled timeout by reviewer" in shown and "in the part train of revision 2." in shown
    assert "learned from it" in shown
    assert "0.900" in shown and "0.970" in shown  # of the champion, and of the shadow


@pytest.mark.django_db
def test_what_a_verdict_changed_costs_few_queries_and_knows_the_parts(ours, django_assert_max_num_queries):
    rows = say(ours, 3, "timeout")
    version = candidate(ours, rows)
    sequence = Sequence.objects.select_related("dataset__project").get(pk=rows[0].pk)
    with django_assert_max_num_queries(5):
        change = what_changed(sequence, "m")
    assert change is not None and change.split is not None
    assert [(learner.version, learner.part, learner.taught) for learner in change.learners] == [
        (version, "test", False)
    ]
    assert [score.scan.version for score in change.scores] == [version]
    # Judged anew, nothing has learned of it: the division held the label of before.
    Label.objects.create(sequence=sequence, value=0, source="review", statement=uuid4())
    change = what_changed(sequence, "m")
    assert change is not None and (change.split, change.learners) == (None, [])
    Label.objects.filter(sequence=sequence).delete()
    assert what_changed(sequence, "m") is None
