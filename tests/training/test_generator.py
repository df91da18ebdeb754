"""What people rely on in generated sequences."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import islice

import pytest

from duolog.plugins.types import LogSequence
from logs.engine.masking import mask
from training.generators.microservices import ANOMALOUS, HEALTHY, Microservices, Options, Shop, anomaly_types
from training.generators.shop.catalog import load
from training.generators.shop.styles import MARKS

CATEGORIES = {"系统", "网络", "数据库", "应用", "安全"}


def make(count: int = 400, seed: int = 3, **options: object) -> list[LogSequence]:
    return list(Microservices(Options(**options)).generate(count, seed))


def test_the_same_seed_gives_the_same_bytes_on_any_machine():
    assert make() == make()
    assert make()[0].entries != make(seed=4)[0].entries
    # Written down once: a change of the catalogue or of the draws changes what a seed means, and must be meant.
    assert make(3, seed=1)[2].entries[0] == (
        '{"ts":"2026-02-19T14:52:07.078Z","level":"info","service":"gateway","trace_id":"4d09fba3bf763a48","goroutine":8,'
        '"msg":"请求进入网关","path":"/api/user/login","remote_addr":"10.149.142.208"}'
    )


def test_a_sequence_depends_on_its_number_only_so_that_any_part_can_be_made_alone():
    made = make(50, teams=5, language="mixed")
    shop = Shop(Options(teams=5, language="mixed"), seed=3)
    assert [shop.tell(number) for number in reversed(range(50))] == made[::-1]


def test_the_last_line_says_how_long_the_request_took():
    told = 0
    for sequence in make(styles=("node",), noise=0.0):
        if took := re.search(r"elapsed_ms (\d+)$", sequence.entries[-1] if "url" in sequence.entries[-1] else ""):
            told += 1
            assert int(took[1]) == round(1000 * (sequence.times[-1] - sequence.times[0]))
    assert told > 200


@pytest.mark.parametrize("language", ["zh", "en", "mixed"])
def test_length_times_services_and_trace_are_consistent(language):
    for sequence in make(language=language):
        assert 6 <= len(sequence.entries) <= 15
        assert all(sequence.meta["trace_id"] in line for line in sequence.entries)
        assert list(sequence.times) == sorted(sequence.times)
        assert len(sequence.times) == len(sequence.entries)
        assert all(any(name in line for name in sequence.meta["services"]) for line in sequence.entries)
        assert not any(mark in line for line in sequence.entries for mark in MARKS.values()), "a value is missing"


def test_lines_in_the_json_style_are_valid_json_and_say_the_time_of_the_sequence():
    from datetime import datetime

    lines = 0
    for sequence in make(styles=("zap",), language="mixed"):
        for line, time in zip(sequence.entries, sequence.times, strict=True):
            row = json.loads(line)
            assert datetime.fromisoformat(row["ts"]).timestamp() == pytest.approx(time)
            lines += 1
    assert lines > 2000


@pytest.mark.parametrize(("language", "chinese"), [("zh", True), ("en", False)])
def test_each_language_has_hundreds_of_templates_of_its_own(language, chinese):
    found = {line for sequence in make(4000, language=language, teams=50) for line in mask(sequence.entries)}
    assert len(found) >= 400
    speaks = [bool(re.search("[\u4e00-\u9fff]", line)) for line in found]
    assert any(speaks) if chinese else not any(speaks)


def test_every_anomaly_names_its_type_category_and_root_cause():
    anomalous = [sequence for sequence in make(8000) if sequence.label]
    assert {s.type for s in anomalous} == set(anomaly_types())
    assert len(anomaly_types()) >= 16
    assert {s.meta["category"] for s in anomalous} == CATEGORIES
    assert all(s.meta["root_cause"] for s in anomalous)
    assert all(0 <= line < len(s.entries) for s in anomalous for line in s.meta["root_cause"])
    assert 0.25 < len(anomalous) / 8000 < 0.35
    assert Counter(s.meta["story"] for s in anomalous).keys() == ANOMALOUS.keys()


def test_the_root_cause_of_a_fault_is_the_line_that_tells_of_it():
    causes = {word for fault in load().faults for cause in fault.causes for word in cause.zh}
    found = 0
    for sequence in make(2000, noise=0.5):
        if sequence.meta["story"] in {"cascade", "no_recovery", "swallowed", "relapse", "retry_storm"}:
            found += 1
            for line in sequence.meta["root_cause"]:
                assert any(word in sequence.entries[line] for word in causes)
    assert found > 200


def test_healthy_requests_meet_faults_too():
    stories = Counter(s.meta["story"] for s in make(4000) if not s.label)
    assert stories.keys() == HEALTHY.keys()


def test_no_keyword_gives_the_label_away():
    """Normal requests show errors too (and recover), anomalous ones may show none."""
    words = ("ERROR", "error", "Exception", "失败", "异常")
    flagged = [(any(w in line for line in s.entries for w in words), s.label) for s in make(4000)]
    true = sum(hit and label for hit, label in flagged)
    assert 2 * true / (sum(hit for hit, _ in flagged) + sum(label for _, label in flagged)) < 0.75


def test_wordings_that_are_kept_apart_share_no_template():
    one, other = (
        {line for s in make(1000, wordings=chosen, teams=9) for line in mask(s.entries)} for chosen in ((0, 1), (2,))
    )
    assert not one & other


def test_knobs_do_what_they_say():
    assert {s.type for s in make(types=("超时异常", "流程乱序")) if s.label} == {"超时异常", "流程乱序"}
    for type_ in anomaly_types():  # also in the smallest shop
        assert {s.type for s in make(60, types=(type_,), services=5, anomaly_share=1.0)} == {type_}
    few = {service for s in make(services=5) for service in s.meta["services"]}
    assert few == {"gateway", "user-service", "order-service", "stock-service", "payment-service"}
    assert all(s.label for s in make(anomaly_share=1.0))
    assert not any(s.label for s in make(anomaly_share=0.0))
    assert all(20 <= len(s.entries) <= 25 for s in make(min_lines=20, max_lines=25))
    quiet, loud = (sum(len(s.entries) for s in make(noise=noise)) for noise in (0.0, 0.5))
    assert quiet < loud


def test_it_streams():
    endless = Microservices().generate(10**12, 0)
    assert len(list(islice(endless, 3))) == 3


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"anomaly_share": 1.5}, "anomaly_share"),
        ({"services": 4}, "services"),
        ({"types": ("no such",)}, "超时异常"),
        ({"styles": ("cobol",)}, "spring"),
        ({"wordings": (10,)}, "wordings"),
        ({"min_lines": 20}, "max_lines"),
        ({"max_lines": 10}, "max_lines"),
        ({"teams": 0}, "teams"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_by_name(option, message):
    with pytest.raises(ValueError, match=message):
        Options(**option)
