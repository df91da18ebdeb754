"""The gap between synthetic and real sequences on the dataset's page and over REST."""

from __future__ import annotations

from typing import Any

import pytest

from logs.models import Dataset, Gap
from training.engine.gap import GROUPS
from workers.models import Run

pytestmark = pytest.mark.django_db(transaction=True)

FIGURES = {"f1": 0.4, "precision": 0.5, "recall": 0.3}
HELP = {"group": "lengths", "options": {"min_lines": 17, "max_lines": 40}, "before": 0.99, "after": 0.7, "total": 0.3}


@pytest.fixture
def gap(ours: Any) -> Gap:
    """Lengths and wording give it away, and something can be done about lengths."""
    auc: dict[str, float | None] = {"all": 1.0, **dict.fromkeys(GROUPS, 0.5), "lengths": 0.99, "wording": 1.0}
    values = {
        "sequences": {"synthetic": 2000, "real": 1004},
        "auc": {**auc, "gaps": None},
        "limit": 0.6,
        "coverage": {"lines": 59, "alike": 0.25, "equal": 0.125, "alike_mentions": 0.5, "equal_mentions": 0.375},
        "transfer": {"synthetic": FIGURES, "real": {**FIGURES, "f1": 0.9}, "guess": 0.47},
        "generated": True,
        "options": [HELP],
    }
    real = Dataset.objects.create(project=ours.project, name="openstack")
    return Gap.objects.create(dataset=ours.dataset, real=real, values=values, run=ours.run)


def page(client: Any, gap: Gap) -> str:
    answer = client.get(f"/admin/logs/dataset/{gap.dataset.pk}/change/")
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_the_page_shows_what_gives_it_away_and_what_would_help(browser, gap):
    found = page(browser("viewer"), gap)
    assert "--set max_lines=40 --set min_lines=17 would help most: lengths 0.99 → 0.70" in found
    assert "No option helps here: wording; import real sequences of your own." in found
    assert 'aria-label="What gives it away: all together: 1.00; wording: 1.00; language: 0.50; ' in found
    assert "time gaps: not told" in found
    assert "alike, distinct: 25.0%; alike, as written: 50.0%; equal, distinct: 12.5%; equal, as written: 37.5%" in found
    assert "on synthetic: 0.400; on real: 0.900; all anomalous: 0.470" in found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"options": []}, "No option helps here: wording, lengths; import"),
        ({"options": [], "generated": False}, "was not generated here"),
        ({"limit": 1.1}, "Nothing of what was compared"),
        (
            {"transfer": {"missing": "real", "normal": 7, "anomalous": 0}},
            "the real sample has 7 normal and 0 anomalous",
        ),
    ],
)
def test_the_page_says_when_nothing_can_be_said_or_done(browser, gap, change, said):
    Gap.objects.update(values={**gap.values, **change})
    assert said in page(browser("viewer"), gap)


def test_the_gap_over_rest(api, gap):
    client, path = api("viewer"), f"/api/v1/datasets/{gap.dataset.pk}/gaps/"
    (row,) = client.get(path).json()["results"]
    assert (row["real"], row["real_name"], row["values"]) == (gap.real.pk, "openstack", gap.values)
    assert client.get(path, {"real": gap.dataset.pk}).json()["results"] == []


def test_the_form_starts_the_comparison(browser, gap, theirs):
    client, path = browser("engineer"), "/admin/start/measure-gap/"
    assert f'{path}?dataset={gap.dataset.pk}"' in page(client, gap)
    asked = {"dataset": gap.dataset.pk, "real": gap.real.pk}
    assert client.post(path, asked).status_code == 302
    assert Run.objects.get(job="measure-gap").options == {"dataset": "ours-logs", "real": "openstack"}
    everywhere = browser("root")  # sees both projects
    for who, wrong in ((client, gap.dataset), (client, theirs.dataset), (everywhere, theirs.dataset)):
        assert who.post(path, {**asked, "real": wrong.pk}).status_code == 200  # the form again, with errors
    assert "belongs to another project" in everywhere.post(path, {**asked, "real": wrong.pk}).content.decode()
    assert Run.objects.filter(job="measure-gap").count() == 1
