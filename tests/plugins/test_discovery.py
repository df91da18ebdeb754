"""Plugins are found without importing them, and a bad one costs nothing but its own name."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from duolog.plugins import registry
from duolog.plugins.options import OptionsError
from duolog.plugins.registry import OWN, PluginUnavailable, Status

DETECTORS = "duolog.detectors"
FORMATS = "duolog.formats"

pytestmark = pytest.mark.usefixtures("plugins")


def test_discovery_imports_nothing() -> None:
    code = (
        "import sys; from duolog.plugins import points, registry\n"
        "found = [e.name for group in points.GROUPS for e in registry.discover(group)]\n"
        "assert 'length' in found and 'dummy-exits' in found and 'seed' in found, found\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('duolog_dummy', 'logs', 'detection', 'torch', 'django')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("length", "ready", ""),
        ("dummy-wrong-base", "invalid", "not a subclass of duolog.plugins.points.Detector"),
        ("dummy-abstract", "invalid", "does not define fit, load, score"),
        ("dummy-wrong-api", "incompatible", "version 99"),
        ("dummy-raises", "broken", "RuntimeError: the module is broken"),
        ("dummy-exits", "broken", "SystemExit: 3"),
        ("dummy-import", "missing", "package no_such_package is not installed"),
        ("dummy-package", "missing", "package no_such_package is not installed"),
    ],
)
def test_status_says_what_is_wrong(name: str, status: str, reason: str) -> None:
    inventory = {(row["group"], row["name"]): row for row in registry.inventory()}
    row = inventory[DETECTORS, name]
    assert (row["status"], row["distribution"], row["version"]) == (status, "duolog-dummy", "1.2.3")
    assert reason in row["error"]


def test_a_gpu_is_missing_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    registry._has_gpu.cache_clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(PluginUnavailable, match="missing: needs a GPU"):
        registry.get(DETECTORS, "dummy-gpu")
    registry._has_gpu.cache_clear()


def test_our_own_wins_a_name_that_two_offer() -> None:
    entries = [entry for entry in registry.discover(FORMATS) if entry.name == "csv"]
    assert [(entry.distribution, entry.status) for entry in entries] == [
        (OWN, Status.FOUND),
        ("duolog-dummy", Status.SHADOWED),
    ]
    assert registry.get(FORMATS, "csv").__module__ == "logs.formats.table"


@pytest.mark.parametrize("off", ["length", "detectors:length", "x, length"])
def test_an_operator_can_switch_one_off(monkeypatch: pytest.MonkeyPatch, off: str) -> None:
    monkeypatch.setenv("DUOLOG_PLUGINS_OFF", off)
    registry.forget()
    with pytest.raises(PluginUnavailable, match="off: switched off by DUOLOG_PLUGINS_OFF"):
        registry.get(DETECTORS, "length")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(PluginUnavailable, match=r"no plugin 'lenght' in duolog.detectors; installed: .*length"):
        registry.get(DETECTORS, "lenght")


def test_options_are_checked_before_the_plugin_sees_them() -> None:
    assert registry.create(DETECTORS, "length", {"share": "0.5"}).options.share == 0.5
    with pytest.raises(OptionsError, match="unknown option 'shar'; did you mean 'share'"):
        registry.create(DETECTORS, "length", {"shar": 1})


def test_the_inventory_is_json_and_shows_every_plugin_of_ours_ready() -> None:
    inventory = registry.inventory()
    json.dumps(inventory)
    ours = [row for row in inventory if row["distribution"] == OWN]
    assert len(ours) >= 9
    assert {row["status"] for row in ours} == {"ready"}, [row for row in ours if row["status"] != "ready"]
