"""Console: the queue of review, what it is narrowed to, and what its buttons do."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from scenes import shop
from tenants import make_tenant

from analysis import queue, review
from analysis.models import Item, ReviewPolicy
from analysis.review import Said

pytestmark = pytest.mark.django_db
QUEUE = "/admin/analysis/item/"


@pytest.fixture
def items() -> list[Item]:
    """Six items, the one that teaches most first; no controls."""
    ReviewPolicy.objects.create(project="mine", control_share=0)
    return shop(6)


def html(client: Client, query: str = "", **more: Any) -> str:
    answer = client.get(QUEUE + query, **more)
    assert answer.status_code == 200
    return answer.content.decode()


def shown(client: Client, query: str = "") -> list[int]:
    """The numbers of the items on the page, in order."""
    import re

    return [int(number) for number in re.findall(r'class="title" href="/review/(\d+)/', html(client, query))]


def test_cards_tell_what_a_verdict_settles(items: list[Item], come: Any) -> None:
    page = html(come("ada"))
    assert shown(come("bob")) == [item.pk for item in items]
    most = max(item.findings_count for item in items)
    assert f"one review settles {most} sequences" in page
    assert "connect to bank" in page or "502 for POST" in page
    assert page.count('class="sparks"') == 6 and "timeout" in page


def test_what_is_not_mine_is_not_there(items: list[Item], come: Any) -> None:
    make_tenant("theirs")
    stranger, viewer = come("eve", ""), come("vic", "viewer")
    assert stranger.get(QUEUE).status_code == 403
    assert stranger.get(f"{QUEUE}{items[0].pk}/change/").status_code == 404
    assert "theirs" not in html(viewer, "?state=open")
    assert "Start reviewing" not in html(viewer) and "Assign to me" not in html(viewer)
    for address in (f"{items[0].pk}/do/assign/", f"{items[0].pk}/do/reopen/"):
        assert viewer.post(QUEUE + address).status_code == 403
        assert stranger.post(QUEUE + address).status_code in (403, 404)
    assert viewer.post(f"{QUEUE}merge/", {"item": [items[0].pk, items[1].pk]}).status_code == 403
    assert come("ada").get(f"{QUEUE}policy/mine/").status_code == 403
    assert come("eng", "engineer").get(f"{QUEUE}policy/theirs/").status_code == 404


def test_filters(items: list[Item], come: Any) -> None:
    ada, bob = come("ada"), come("bob")
    Item.objects.filter(pk=items[1].pk).update(service="till", severity="critical")
    review.assign(user=ada.user, item=items[2], owner=ada.user)
    review.comment(user=ada.user, item=items[3], text="@bob look")
    assert shown(ada, "?service=till") == [items[1].pk]
    assert shown(ada, "?severity=critical") == [items[1].pk]
    assert shown(ada, "?owner=me") == [items[2].pk]
    assert items[2].pk not in shown(ada, "?owner=nobody")
    assert shown(bob, "?mentions=me") == [items[3].pk]
    assert shown(ada, "?kind=control") == [] and "Nothing matches" in html(ada, "?kind=control")
    assert shown(ada, "?order=gravest")[0] == items[1].pk
    assert shown(ada, "?state=nonsense&order=x&page=-1") == [item.pk for item in items]


def test_states(items: list[Item], come: Any) -> None:
    ReviewPolicy.objects.update(reviewers=2)
    ada, bob, eve = come("ada"), come("bob"), come("eve")
    for client, anomalous in ((ada, True), (bob, False)):
        review.judge(user=client.user, item=items[0], said=Said(anomalous))
    for client in (ada, bob):
        review.judge(user=client.user, item=items[1], said=Said(False))
    review.judge(user=ada.user, item=items[2], said=Said(False))
    assert shown(ada) == [item.pk for item in items[3:]]
    assert shown(eve) == [item.pk for item in items[2:]]
    assert shown(eve, "?state=disputed") == [items[0].pk]
    assert shown(eve, "?state=decided") == [items[1].pk]
    assert len(shown(eve, "?state=open")) == 5
    assert "1 of 2 verdicts" in html(eve)
    settled = eve.post(f"{QUEUE}begin/", {"state": "disputed"})
    assert settled["Location"] == f"/review/{items[0].pk}/?state=disputed"
    assert "disabled" in html(ada, "?state=disputed").split("Settle disputes")[0][-80:]


def test_begin_holds_the_first_that_is_asked_for(items: list[Item], come: Any) -> None:
    ada = come("ada")
    Item.objects.filter(pk=items[4].pk).update(service="till")
    answer = ada.post(f"{QUEUE}begin/", {"service": "till"})
    assert answer["Location"] == f"/review/{items[4].pk}/?service=till"
    assert "held by ada" in html(come("bob"), "?state=open")
    assert come("vic", "viewer").post(f"{QUEUE}begin/", {"project": "mine"}).status_code == 403
    assert ada.post(f"{QUEUE}begin/", {"kind": "control"})["Location"] == f"{QUEUE}?kind=control"
    assert "Nothing here waits for you." in html(ada)


def test_items_are_assigned_given_back_merged_and_reopened(items: list[Item], come: Any) -> None:
    ada = come("ada")
    ada.post(f"{QUEUE}{items[0].pk}/do/assign/", {"service": "shop"})
    assert Item.objects.get(pk=items[0].pk).owner == ada.user
    assert ada.post(f"{QUEUE}{items[0].pk}/do/release/", {})["Location"] == QUEUE
    assert Item.objects.get(pk=items[0].pk).owner is None
    assert "two items at least" in ada.post(f"{QUEUE}merge/", {"item": [items[0].pk]}, follow=True).content.decode()
    ada.post(f"{QUEUE}merge/", {"item": [items[0].pk, items[1].pk, "x"]})
    into = max(items[:2], key=lambda item: item.findings_count)
    (gone,) = (item for item in items[:2] if item != into)
    assert Item.objects.get(pk=gone.pk).merged_into == into
    assert ada.get(f"/review/{gone.pk}/")["Location"] == f"/review/{into.pk}/"
    review.judge(user=ada.user, item=into, said=Said(False))
    ada.post(f"{QUEUE}{into.pk}/do/reopen/")
    assert Item.objects.get(pk=into.pk).state == "open"


def test_the_policy_is_set_by_engineers(items: list[Item], come: Any) -> None:
    eng = come("eng", "engineer")
    assert "How mine reviews" in html(eng)
    answer = eng.post(f"{QUEUE}policy/mine/", {"reviewers": 3, "control_share": "0.1", "quiet_hours": 12})
    assert answer.status_code == 302
    assert (queue.policy("mine").reviewers, queue.policy("mine").control_share) == (3, 0.1)
    bad = eng.post(f"{QUEUE}policy/mine/", {"reviewers": 0, "control_share": "2", "quiet_hours": 12})
    assert bad.status_code == 200 and queue.policy("mine").reviewers == 3


def test_the_menu_counts_what_waits_for_me(items: list[Item], come: Any) -> None:
    ada = come("ada")
    assert ">6<" in html(ada).replace(" ", "").replace("\n", "")
    for item in items:
        review.judge(user=ada.user, item=item, said=Said(False))
    assert "Nothing waits for you" in html(ada)
    overview = ada.get("/admin/").content.decode()
    assert 'id="card-1"' in overview and f"{QUEUE}?state=open" in overview


@pytest.mark.parametrize("role", ["reviewer", "engineer", "root"])
def test_the_page_takes_the_same_few_queries_however_long_it_is(
    items: list[Item], come: Any, role: str, django_assert_max_num_queries: Any
) -> None:
    shop(40, most=2)
    client = come("ada", "reviewer" if role == "root" else role)
    if role == "root":
        client.user.is_superuser = True
        client.user.save()
    for query in ("", "?state=open", "?state=open&page=1", "?state=decided"):
        with django_assert_max_num_queries(12):
            html(client, query)


def test_chinese(items: list[Item], come: Any) -> None:
    page = html(come("ada"), HTTP_ACCEPT_LANGUAGE="zh-hans")
    for word in ("审核", "待审核", "开始审核", "分配给我", "最有价值优先"):
        assert word in page
    assert "Start reviewing" not in page
