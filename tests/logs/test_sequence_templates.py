"""Stored sequences get the numbers of their lines' templates, whichever way they came."""

from __future__ import annotations

import pytest
from django.db import transaction

from logs import datasets, templates
from logs.engine.chunks import Lines
from logs.models import Sequence, Template
from logs.sequencer import headed

pytestmark = pytest.mark.django_db


def sequence(entries: list[str]) -> Sequence:
    dataset = datasets.get_or_create(project="mine", name="d")
    key = f"s{Sequence.objects.count()}"
    return Sequence.objects.create(dataset=dataset, key=key, entries=entries, length=len(entries))


def test_what_came_as_no_stream_is_mined_once() -> None:
    rows = [sequence(["opened for 17", "用户登录失败"]), sequence(["opened for 4711"])]
    project = rows[0].dataset.project_id
    templates.store_numbers(project, rows)
    stored = list(Sequence.objects.order_by("pk").values_list("templates", flat=True))
    assert stored[0] is not None and stored[1] == stored[0][:1]
    assert set(Template.objects.values_list("pattern", flat=True)) == {"opened for <*>", "用户登录失败"}
    assert set(Template.objects.values_list("lines", flat=True)) == {0}  # nothing was received
    Sequence.objects.filter(pk=rows[0].pk).update(templates=[1, 2])
    templates.store_numbers(project, Sequence.objects.all())
    assert list(Sequence.objects.order_by("pk").values_list("templates", flat=True)) == [[1, 2], stored[1]]


def test_a_line_with_a_header_is_of_the_template_of_what_was_received() -> None:
    texts = ["stock is low: 3", "stock is low: 3", "started", "INFO ready"]
    levels, services = ["warn", "warn", "info", "info"], ["shop-1", "", "shop-1", "shop-1"]
    lines = Lines(texts, [0.0] * 4, services, levels, [""] * 4, [0] * 4)
    row = sequence(headed(lines))
    assert row.entries == ["WARN shop-1: stock is low: 3", "WARN stock is low: 3", "INFO shop-1: started", "INFO ready"]
    project = row.dataset.project_id
    with transaction.atomic():
        received = templates.match(project, texts)
    templates.store_numbers(project, [row])
    assert row.templates == received
