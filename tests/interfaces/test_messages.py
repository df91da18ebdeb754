"""The catalogues are complete, compiled, and fill in the same values as the originals (`make messages` mends them)."""

from __future__ import annotations

import io
import re
import runpy
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from babel.messages.mofile import write_mo
from django.utils import translation

from logs.labels import named

TOOL = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[2] / "platform" / "duolog" / "locale" / "update.py"))
)
PLACEHOLDER = re.compile(r"%\(\w+\)[.\d]*[a-z]|%[sd]|\{\w*\}|<[^>]+>|`[^`]+`|--\w+")


@pytest.fixture(scope="module", params=TOOL.LANGUAGES)
def language(request) -> str:
    """Each language there is a catalogue of."""
    return request.param


def test_nothing_is_missing_or_fuzzy(language):
    catalog = TOOL.read(language)
    wanted = {(str(message.id), message.context) for message in TOOL.sources() if message.id}
    there = {(str(message.id), message.context) for message in catalog if message.id}
    assert not wanted - there, "run `make messages`, and translate"
    assert not there - wanted, "run `make messages`: these are not used any more"
    assert not [message.id for message in TOOL.untranslated(catalog)]


def test_the_compiled_catalogue_is_in_step(language):
    compiled = io.BytesIO()
    write_mo(compiled, TOOL.read(language))
    assert TOOL.po_file(language).with_suffix(".mo").read_bytes() == compiled.getvalue(), "run `make messages`"


def test_translations_fill_in_the_same_values(language):
    for message in TOOL.read(language):
        if not message.id:
            continue
        original = message.id if isinstance(message.id, str) else message.id[-1]
        for translated in TOOL.strings(message):
            assert Counter(PLACEHOLDER.findall(translated)) == Counter(PLACEHOLDER.findall(original)), message.id


def test_django_uses_it(language):
    with translation.override("zh-hans"):
        assert translation.gettext("Findings") == "异常发现"
        assert translation.gettext("Home") == "首页"  # Django's own
        assert translation.gettext("Type to search") == "输入以搜索"  # unfold's, which ships none


def test_anomaly_types_have_the_english_names_of_the_generator():
    kept = {message.id: message.string for message in TOOL.read("en") if message.id}
    assert kept == {message.id: message.string for message in TOOL.anomalies() if message.id}, "run `make messages`"
    compiled = io.BytesIO()
    write_mo(compiled, TOOL.read("en"))
    assert TOOL.po_file("en").with_suffix(".mo").read_bytes() == compiled.getvalue(), "run `make messages`"


@pytest.mark.parametrize("default", ["en", "zh-hans"])
def test_an_anomaly_type_is_named_in_the_language_of_the_reader(settings, default):
    settings.LANGUAGE_CODE = default
    with translation.override("en"):
        assert [named(kind) for kind in ("超时异常", "网络", "tcp reset", "")] == [
            "timeout (超时异常)", "network (网络)", "tcp reset", ""
        ]  # fmt: skip
    with translation.override("zh-hans"):
        assert [named(kind) for kind in ("超时异常", "tcp reset")] == ["超时异常", "tcp reset"]
