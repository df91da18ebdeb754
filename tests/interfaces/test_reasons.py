"""Why a row was refused is told in the language of whoever looks: on the console, over REST, on the command line."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command
from django.utils import translation

from duolog.plugins.types import BadRecord, Reason
from logs.engine.sanity import bad
from logs.models import QuarantinedRow

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = [
    {"sequence_id": "a", "log_entries": ["fine"]},
    {"sequence_id": "b", "label": "100 % odd", "log_entries": ["x"]},
    {"sequence_id": "a", "log_entries": ["again"]},
    {"sequence_id": "s1", "log_entries": ["not what is stored"]},
]
ENGLISH = [
    "the label is '100 % odd', not 0 or 1",
    "the sequence id stands in row 1 already",
    "another sequence with this id is stored already",
]
CHINESE = ["标签是 '100 % odd'，而不是 0 或 1", "该序列编号已在第 1 行出现过", "已存有编号相同的另一条序列"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    return tmp_path


@pytest.fixture
def refused(folder, ours):
    """The project's dataset with the rows that were refused."""
    QuarantinedRow.objects.all().delete()
    call_command(
        "import_data", str(folder / "rows.jsonl"), project="ours", dataset=ours.dataset.name, stdout=io.StringIO()
    )
    return ours.dataset


@pytest.mark.parametrize(("language", "reasons"), [("en", ENGLISH), ("zh-hans", CHINESE)])
def test_console_and_api(api, browser, refused, language, reasons):
    rows = api("viewer").get(f"/api/v1/datasets/{refused.pk}/quarantine/", headers={"accept-language": language})
    assert sorted(row["reason"] for row in rows.data["results"]) == sorted(reasons)
    page = browser("reviewer").get(f"/admin/logs/dataset/{refused.pk}/change/", headers={"accept-language": language})
    for reason in reasons:
        assert reason.replace("'", "&#x27;") in page.content.decode()


@pytest.mark.parametrize(("language", "reason"), [("en", ENGLISH[0]), ("zh-hans", CHINESE[0])])
def test_command_line_and_preview_of_a_folder(folder, language, reason):
    for arguments in (["--dry-run"], ["--dataset", "d"]):
        out = io.StringIO()
        with translation.override(language):
            call_command("import_data", str(folder), *arguments, stdout=out)
        assert f"rows.jsonl: {reason}" in out.getvalue()


def test_what_a_plugin_says_in_its_own_words_stays(ours):
    row = QuarantinedRow(dataset=ours.dataset, file="a", row=1, reason="100% odd", excerpt="")
    with translation.override("zh-hans"):
        assert row.why == "100% odd"


def test_a_reason_can_always_be_stored():
    found = bad(1, Reason("the label is %(label)s, not 0 or 1", label="a\0\ud800"), "x")
    assert found == BadRecord(1, "the label is a\N{REPLACEMENT CHARACTER}?, not 0 or 1", "x")
