"""Console: the page of review, what it shows to whom, and what its script may ask for."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from scenes import shop

from analysis import queue, review
from analysis.models import Finding, Item, Lease, ReviewPolicy, Verdict
from analysis.review import Said
from logs.models import Sequence

pytestmark = pytest.mark.django_db
DEEDS = ("judge", "undo", "draft", "skip", "comment")
PARTS = ("precedents", "experts", "raw")


@pytest.fixture
def items() -> list[Item]:
    """Three items, the one that teaches most first; no controls."""
    ReviewPolicy.objects.create(project="mine", control_share=0)
    return shop(3)


def at(item: Item, name: str = "") -> str:
    return f"/review/{item.pk}/" + (f"{name}/" if name else "")


def post(client: Client, address: str, **told: Any) -> Any:
    return client.post(address, told, content_type="application/json")


def html(client: Client, item: Item) -> str:
    answer = client.get(at(item))
    assert answer.status_code == 200
    return answer.content.decode()


def test_strangers_find_nothing_and_roles_hold(items: list[Item], come: Any) -> None:
    stranger, viewer = come("eve", ""), come("vic", "viewer")
    assert stranger.get(at(items[0])).status_code == 404
    for name in DEEDS:
        assert post(stranger, at(items[0], name)).status_code == 404, name
        assert post(viewer, at(items[0], name)).status_code == 403, name
        assert viewer.get(at(items[0], name)).status_code == 405, name
    for name in PARTS:
        assert stranger.get(at(items[0], name)).status_code == 404, name
    assert viewer.get(at(items[0], "raw")).status_code == 403
    assert come("ada").get(at(items[0], "raw")).status_code == 403
    assert "node-" in come("eng", "engineer").get(at(items[0], "raw")).content.decode()
    assert Client().get(at(items[0])).status_code == 302
    assert "you need the role" in html(viewer, items[0]) and 'data-do="normal"' not in html(viewer, items[0])


def test_a_verdict_is_answered_with_an_item_that_is_held(items: list[Item], come: Any) -> None:
    ada = come("ada")
    assert post(ada, at(items[0], "draft"), round=1).status_code == 204
    ready = post(ada, "/review/next/", skip=[items[0].pk])
    assert f'data-item="{items[1].pk}"' in ready.content.decode()
    told = {"round": 1, "anomalous": True, "type": "超时异常", "lines": [5, 7], "note": "slow", "seconds": 2.5}
    answer = post(ada, at(items[0], "judge"), **told, skip=[items[0].pk, items[1].pk])
    assert f'data-item="{items[2].pk}"' in answer.content.decode()
    verdict = Verdict.objects.get()
    assert (verdict.type, verdict.lines, verdict.note, verdict.seconds) == ("超时异常", [5, 7], "slow", 2.5)
    assert set(Lease.objects.values_list("item", flat=True)) == {items[1].pk, items[2].pk}
    assert post(ada, at(items[1], "skip"), skip=[item.pk for item in items]).status_code == 204
    assert not Lease.objects.filter(item=items[1]).exists()


def test_the_filters_of_the_queue_hold_for_what_comes_next(items: list[Item], come: Any) -> None:
    Item.objects.filter(pk=items[2].pk).update(service="till")
    answer = come("ada").post("/review/next/?service=till", {}, content_type="application/json")
    assert f'data-item="{items[2].pk}"' in answer.content.decode()


def test_what_changed_meanwhile_is_told(items: list[Item], come: Any) -> None:
    ada, bob = come("ada"), come("bob")
    queue.hold(user=ada.user, item=items[0])
    refused = post(bob, at(items[0], "draft"), round=1)
    assert (refused.status_code, "somebody else" in refused.json()["detail"]) == (409, True)
    review.judge(user=bob.user, item=items[0], said=Said(False))
    for name in ("draft", "judge"):
        refused = post(ada, at(items[0], name), round=1, anomalous=True)
        assert (refused.status_code, "it is dismissed now" in refused.json()["detail"]) == (409, True), name
    assert post(ada, at(items[1], "judge"), round=1).status_code == 400
    assert post(ada, at(items[1], "judge"), round=1, anomalous=True, lines=[999]).status_code == 400
    assert ada.post(at(items[1], "judge"), "{", content_type="application/json").status_code == 400


def test_undone_a_verdict_comes_back_as_it_was(items: list[Item], come: Any) -> None:
    ada = come("ada")
    post(ada, at(items[0], "judge"), round=1, anomalous=True, type="慢查询", lines=[6], note="my <b>reason")
    back = post(ada, at(items[1], "undo")).content.decode()
    assert f'data-item="{items[0].pk}"' in back
    assert 'data-type="慢查询" aria-pressed="true"' in back and "my &lt;b&gt;reason" in back
    assert ' marked" data-line="7"' in back
    assert post(ada, at(items[1], "undo")).status_code == 400


def test_others_are_not_heard_while_several_judge_blind(items: list[Item], come: Any) -> None:
    ReviewPolicy.objects.update(reviewers=2)
    ada, bob, eve = come("ada"), come("bobby"), come("eve", "owner")
    post(ada, at(items[0], "judge"), round=1, anomalous=True, type="慢查询", note="the index")
    assert "look at the index" in post(ada, at(items[0], "comment"), note="look at the index").content.decode()
    for client in (bob, eve):
        page = html(client, items[0])
        assert "the index" not in page and ">ada<" not in page and "· ada" not in page
        assert "1 of 2 verdicts" in page
    assert "You have judged it" in html(ada, items[0]) and "the index" in html(ada, items[0])
    post(bob, at(items[0], "judge"), round=1, anomalous=False)
    page = html(eve, items[0])
    assert "Your verdict settles it" in page and "the index" in page
    assert "<b>A</b>" in page and "<b>B</b>" in page and "bobby" not in page and "ada" not in page
    assert "somebody else settles it" in html(ada, items[0])
    post(eve, at(items[0], "judge"), round=1, anomalous=False)
    page = html(eve, items[0])
    assert "ada" in page and "bobby" in page and "dismissed" in page


def test_services_have_lanes_and_silences_are_drawn(items: list[Item], come: Any) -> None:
    page = html(come("ada"), items[0])
    assert page.count("+12.4 s") == 1
    assert 'class="lane-2"' in page and "payment-service</span>" in page


def test_answers_that_came_with_a_sequence_are_not_told(items: list[Item], come: Any) -> None:
    Sequence.objects.filter(pk=items[0].sequence_id).update(meta={"root_cause": [3], "pod": "p-77"})
    page = html(come("ada"), items[0])
    assert "p-77" in page and "root_cause" not in page


def test_long_sequences_are_shown_around_the_most_suspicious_line(items: list[Item], come: Any) -> None:
    lines = [f"INFO step {number}" for number in range(5000)]
    Sequence.objects.filter(pk=items[0].sequence_id).update(entries=lines, length=5000, times=None)
    items[0].score.__class__.objects.filter(pk=items[0].score_id).update(blame=[0.0] * 3000 + [1.0] + [0.0] * 1999)
    page = html(come("ada"), items[0])
    assert "3000 lines further away" in page and 'id="line-3001"' in page and 'id="line-1"' not in page


def test_like_items_tell_what_was_decided(items: list[Item], come: Any) -> None:
    ada = come("ada")
    other = Item.objects.create(
        project="mine", fingerprint=items[1].fingerprint, service="other", sequence=items[1].sequence,
        score=items[1].score,
    )  # fmt: skip
    review.judge(user=ada.user, item=items[1], said=Said(True, "慢查询"))
    found = ada.get(at(other, "precedents")).content.decode()
    assert f"/review/{items[1].pk}/" in found and "slow query" in found and "the same lines" in found
    assert "Nothing like it" in ada.get(at(items[0], "precedents")).content.decode()


def test_a_finding_leads_to_its_item_and_tells_the_verdict(items: list[Item], come: Any) -> None:
    ada = come("ada")
    item = max(items, key=lambda each: each.findings_count)
    finding = Finding.objects.filter(item=item)[0]
    page = ada.get(f"/admin/analysis/finding/{finding.pk}/change/").content.decode()
    others = item.findings_count - 1
    assert f"Reviewed as item {item}, with {others} other" in page and at(item) in page
    review.judge(user=ada.user, item=item, said=Said(True, "慢查询"))
    assert "you: slow query" in ada.get(f"/admin/analysis/finding/{finding.pk}/change/").content.decode()


def test_it_takes_few_queries(items: list[Item], come: Any, django_assert_max_num_queries: Any) -> None:
    ada = come("ada")
    with django_assert_max_num_queries(30):
        html(ada, items[0])
    with django_assert_max_num_queries(55):
        post(ada, at(items[0], "judge"), round=1, anomalous=False)


def test_chinese(items: list[Item], come: Any) -> None:
    page = come("ada").get(at(items[0]), HTTP_ACCEPT_LANGUAGE="zh-hans").content.decode()
    for word in ("正常", "异常", "撤回", "跳过", "评论", "快捷键", "以往的类似判定"):
        assert word in page
    assert "Skip" not in page and "Undo" not in page
