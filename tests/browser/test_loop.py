"""The whole loop: a model flags, people review by keyboard, their verdicts train the next version, and it is better."""

from __future__ import annotations

import re
from typing import Any

import pytest
from rest_framework.test import APIClient
from sklearn.metrics import cohen_kappa_score
from streaming import BACKWARDS, TIMEOUT, kind, store

from analysis.models import Item, ReviewPolicy, Verdict
from detection import versions
from detection.engine.metrics import evaluate
from detection.models import ModelVersion
from duolog.plugins.types import LogSequence, NullContext
from logs import datasets
from logs.models import Label, Split
from training import learning
from workers.console import perform

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SMALL = {"hidden": 32, "intermediate": 16, "experts": 2, "batch": 16, "learning_rate": 1e-3}
ITEMS, DISPUTED = 30, 6


def truth(item: int) -> str:
    """What is wrong with an item, "" if nothing is."""
    return kind(int(Item.objects.values_list("sequence__key", flat=True).get(pk=item)[1:])) or ""


def say(tab: Any, type_: str) -> int:
    """Judge the item that is shown, by keyboard, and return its number once another one is shown."""
    item = int(tab.locator(".sheet").get_attribute("data-item"))
    if type_:
        keyed = tab.evaluate("[...document.querySelectorAll('.sheet [data-type]')].map(each => each.dataset.type)")
        if type_ in keyed[:9]:
            tab.keyboard.press(str(keyed.index(type_) + 1))
        else:
            tab.keyboard.press("0")
            tab.keyboard.type(type_)
            tab.keyboard.press("Enter")
    tab.keyboard.press("a" if type_ else "n")
    tab.wait_for_function(
        "item => document.querySelector('.sheet')?.dataset.item !== String(item)", arg=item, polling=10
    )
    return item


def begin(tab: Any, address: str, button: str) -> None:
    """Start, by keyboard, and wait for the first item."""
    tab.goto(address)
    tab.locator(button).press("Enter")
    tab.wait_for_url(re.compile(r"/review/\d+/"))


def few(types: list[str]) -> None:
    """Leave as many items of each type as of the others, ITEMS in all."""
    kept: list[int] = []
    for type_ in types:
        of_type = [pk for pk in Item.objects.order_by("sequence").values_list("pk", flat=True) if truth(pk) == type_]
        kept += of_type[: ITEMS // len(types)]
    Item.objects.exclude(pk__in=kept).delete()


def f1(number: int, unseen: list[LogSequence]) -> float:
    """What a version reaches on sequences."""
    loaded = versions.load(ModelVersion.objects.get(name="m", number=number))
    right = [bool(kind(int(one.id[1:]))) for one in unseen]
    return evaluate(right, loaded.score(unseen, NullContext()), loaded.threshold)["f1"]


def test_what_a_team_says_makes_the_next_version_better(
    page: Any, account: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "FIRST", ("moe", SMALL))
    store(0, 400, project="mine")
    perform(job="fit-detector", options={"dataset": "stream", "detector": "neighbours", "name": "m"}, project="mine")
    champion = ModelVersion.objects.filter(name="m")
    (usual,) = champion.values_list("threshold", flat=True)
    champion.update(threshold=0.0)  # a team that begins looks at more than what is surely odd
    perform(job="scan", options={"dataset": "stream", "model": "m"}, project="mine")
    champion.update(threshold=usual)
    ReviewPolicy.objects.create(project="mine", reviewers=2, control_share=0)
    few([TIMEOUT, BACKWARDS, ""])
    items = set(Item.objects.filter(findings__isnull=False).values_list("pk", flat=True))
    assert len(items) == ITEMS == Item.objects.count()
    right = {item: truth(item) for item in items}
    disputed = set(sorted(items)[:DISPUTED])
    ada, bob, eve = account("ada"), account("bob"), account("eve")

    for tab, against in ((ada, set()), (bob, disputed)):
        begin(tab, "/admin/analysis/item/", "#begin")
        for _ in range(ITEMS):
            item = int(tab.locator(".sheet").get_attribute("data-item"))
            assert "ada" not in tab.locator(".about").inner_text()
            wrong = "" if right[item] else "慢查询"
            say(tab, wrong if item in against else right[item])
    until(lambda: Verdict.objects.count() == 2 * ITEMS)
    assert set(Item.objects.filter(state="disputed").values_list("pk", flat=True)) == disputed

    eve.goto("/admin/analysis/item/?state=disputed")
    eve.get_by_role("button", name="Settle disputes").press("Enter")
    eve.wait_for_url(re.compile(r"/review/\d+/"))
    for _ in range(DISPUTED):
        assert eve.locator(".opinion b").all_inner_texts() == ["A", "B"]
        assert "ada" not in eve.locator(".sheet").inner_text().lower()
        say(eve, right[int(eve.locator(".sheet").get_attribute("data-item"))])
    until(lambda: not Item.objects.filter(state__in=["open", "disputed"]).exists())

    client = APIClient()
    client.force_login(Verdict.objects.filter(adjudication=True)[0].user)
    (pair,) = client.get("/api/v1/agreement/", {"project": "mine"}).json()["pairs"]
    said = [[bool(right[item]) != (item in against) for item in sorted(items)] for against in (set(), disputed)]
    assert pair["kappa"]["value"] == pytest.approx(cohen_kappa_score(*said), abs=1e-6)

    perform(job="learn", project="mine")
    labelled = set(Label.objects.filter(source="review").values_list("sequence", flat=True))
    members = [row.sequence_ids for row in Split.objects.all()]
    assert labelled <= set().union(*members)
    stream = datasets.read(datasets.get_or_create(project="mine", name="stream"))
    unseen = [one for one in stream if one.meta["pk"] not in labelled]
    assert f1(2, unseen) > f1(1, unseen) + 0.1
