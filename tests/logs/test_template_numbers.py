"""Template mining: numbers that stay, what people decide, memory, and lines that are no text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from grouping import zh_lines
from hypothesis import given, settings
from hypothesis import strategies as st

from logs.engine.forms import HEAD
from logs.engine.templates import OVERFLOW, Miner


def texts(miner: Miner, lines: list[str]) -> list[str]:
    """Return the text of each line's template once all are mined."""
    miner.match(lines)
    return [miner.templates[each].text for each in miner.match(lines)]


# --- identity -----------------------------------------------------------------------------------------------------


def test_processes_that_mine_at_the_same_time_agree_on_the_ids():
    lines = [line for _, line in zh_lines()]
    here, there = Miner(), Miner()
    here.match(lines)
    there.match(lines[::-1])
    for miner, other in ((here, there.export()), (there, here.export())):
        miner.restore(json.loads(json.dumps(other)))
    assert here.match(lines) == there.match(lines)


def test_an_id_does_not_depend_on_the_process():
    lines = ["opened for user root", "用户张三登录失败", "closed"]
    code = f"from logs.engine.templates import Miner; print(Miner().match({lines!r}))"
    for seed in ("1", "2"):  # of the hashes of Python's strings
        told = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
            cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert json.loads(told.stdout) == Miner().match(lines)


def test_a_template_keeps_its_id_and_text_over_a_restart():
    lines = [line for _, line in zh_lines()] + [f"session opened for user {name}" for name in ("a", "b", "c", "d")]
    before = Miner()
    ids, shown = before.match(lines), texts(before, lines)
    after = Miner()
    after.restore(json.loads(json.dumps(before.export())))
    assert after.changed == set()
    assert after.match(lines) == [before.resolve(each) for each in ids]
    assert texts(after, lines) == shown
    assert after.match(["session opened for user zoe"]) == before.match(["session opened for user zoe"])


def test_a_version_that_masks_more_knows_the_templates_of_the_one_before():
    record = {"id": 7, "examples": ["job 42 of KB2973351 done"], "merged_into": None, "fixed": None, "count": 0}
    miner = Miner()
    miner.restore([{**record, "mined": "job 42 of KB2973351 done"}])
    assert miner.match(["job 17 of KB1111111 done"]) == [7]
    assert 7 in miner.changed


def test_an_id_is_never_reassigned_when_templates_turn_out_to_be_one():
    miner = Miner()
    first = miner.match(["opened for user root"])[0]
    others = miner.match(["opened for user bin", "opened for user news"])
    assert len({miner.resolve(each) for each in (first, *others)}) == 1
    assert first in miner.templates, "what was stored with it can still be read"
    assert miner.match(["opened for user root"]) == [miner.resolve(first)]


def test_evidence_gathered_by_two_processes_merges_when_they_meet():
    here, there = Miner(), Miner()
    here.match(["opened for user root", "opened for user bin"])
    there.match(["opened for user news"])
    here.restore(there.export())
    assert len({here.resolve(each) for each in here.templates}) == 1
    there.restore(here.export())
    assert there.match(["opened for user x1"]) == here.match(["opened for user x1"])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([line for _, line in zh_lines(4)]), min_size=1, max_size=60), st.integers(1, 20))
def test_batches_do_not_matter(lines, size):
    whole, parts = Miner(), Miner()
    whole.match(lines)
    for start in range(0, len(lines), size):
        parts.match(lines[start : start + size])
    assert whole.match(lines) == parts.match(lines)


# --- what people decide -------------------------------------------------------------------------------------------


def test_a_persons_text_decides_what_belongs_to_it():
    miner = Miner()
    names = ["root", "bin", "news"]
    [template, *_] = miner.match([f"opened for user {name}" for name in names])
    template = miner.resolve(template)
    own = {"id": 7, "examples": [], "merged_into": None, "fixed": "opened for user root", "mined": "", "count": 0}
    miner.restore([own])
    assert miner.match([f"opened for user {name}" for name in names]) == [7, template, template]
    assert miner.templates[7].text == "opened for user root"


def test_the_text_that_says_more_wins():
    miner = Miner()
    blank = {"examples": [], "merged_into": None, "mined": "", "count": 0}
    miner.restore([{**blank, "id": 1, "fixed": "<*>失败"}, {**blank, "id": 2, "fixed": "<*>登录失败"}])
    assert miner.match(["用户张三登录失败", "支付失败", "支付成功"])[:2] == [2, 1]
    assert miner.match(["支付成功"])[0] not in {1, 2}


def test_a_merge_of_people_is_followed():
    miner = Miner()
    ids = miner.match(["start", "stop"])
    [record] = miner.export([ids[0]])
    miner.restore([{**record, "merged_into": ids[1]}])
    assert miner.match(["start", "stop"]) == [ids[1], ids[1]]


def test_evidence_leaves_a_persons_template_alone():
    miner = Miner()
    [number] = miner.match(["opened for user root"])
    [record] = miner.export([number])
    miner.restore([{**record, "fixed": "opened for user root"}] * 2)
    names = ["bin", "news", "zoe", "root"]
    *others, own = miner.match([f"opened for user {name}" for name in names])
    assert own == number and number not in others
    assert len({miner.resolve(each) for each in others}) == 1
    assert miner.templates[number].merged_into is None


def test_reading_the_same_templates_again_changes_nothing():
    miner = Miner()
    lines = [line for _, line in zh_lines()]
    ids = miner.match(lines)
    stored = json.loads(json.dumps(miner.export()))
    miner.changed.clear()
    for _ in range(3):
        miner.restore(stored)
    assert miner.changed == set()
    assert miner.export() == stored
    assert miner.match(lines) == [miner.resolve(each) for each in ids]


# --- limits -------------------------------------------------------------------------------------------------------


def test_beyond_the_limit_new_lines_share_one_template_and_known_ones_keep_theirs():
    miner = Miner(limit=2)
    known = miner.match(["start", "stop"])
    assert miner.match(["other", "another", "start", "stop"]) == [OVERFLOW, OVERFLOW, *known]
    assert miner.templates[OVERFLOW].text == "<*>"
    assert len(miner.templates) <= 3


def test_memory_of_masked_lines_is_bounded_and_what_is_used_is_kept():
    miner = Miner(remember=50)
    first = miner.match(["hello there"])
    for number in range(40):
        miner.match([f"word{chr(97 + number % 26) * (number + 1)} said", "hello there"])
    assert len(miner._young) + len(miner._old) <= 100
    assert miner.match(["hello there"]) == first


def test_long_lines_take_no_more_memory_than_short_ones():
    miner = Miner(remember=100)
    for number in range(200):
        miner.match([f"{'x' * (number + 1)} {'long ' * 700}"])
    assert sum(map(len, [*miner._young, *miner._old])) <= 2 * (100 * 256 + HEAD)


@pytest.mark.parametrize(
    "line",
    [
        "",
        " ",
        "\x00\x01\x02\xff" * 3000,
        "\ud800 half a pair",
        "a" * 1_000_000,
        "-" * 100_000,
        "/a" * 50_000,
        "a.b" * 50_000,
        "<*>" * 50_000,
        "<" * 50_000,
        "a-" * 50_000,
        "a." * 50_000,
        "用户" * 50_000,
        "用户张" * 50_000,
        '{"a":' * 50_000,
        "x=1 " * 50_000,
        '"a' * 50_000,
        "'" + "1-a" * 50_000,
        "'" + "A1-AA" * 50_000 + "x",
        "'" + "a1" * 50_000,
        "'" + "a" * 50_000,
        "'" + "1.1.1.1:1" * 20_000,
        "\\\\" * 50_000,
    ],
    ids=lambda line: repr(line[:6]),
)
def test_a_line_that_is_no_text_or_huge_does_no_harm(line):
    miner = Miner()
    began = time.process_time()
    [template] = miner.match([line])
    assert miner.match([line]) == [template]
    assert time.process_time() - began < 2
    known = miner.templates[template]
    assert not any("\x00" in text for text in (known.text, *known.examples)), "Postgres stores no NUL"
    assert all(len(example) <= 3 * HEAD for example in miner.templates[template].examples)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(), max_size=20))
def test_any_text_is_a_line_and_matches_the_same_again(lines):
    miner = Miner()
    first = miner.match(lines)
    assert len(first) == len(lines)
    assert miner.match(lines) == [miner.resolve(each) for each in first]
    again = Miner()
    again.restore(json.loads(json.dumps(miner.export())))
    assert again.match(lines) == miner.match(lines)
