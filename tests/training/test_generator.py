"""What people rely on in generated sequences."""

from __future__ import annotations

import pytest

from duolog.plugins.types import LogSequence
from training.generators.microservices import Microservices, Options


def make(count: int = 400, seed: int = 3, **options: object) -> list[LogSequence]:
    return list(Microservices(Options(**options)).generate(count, seed))


def test_the_same_seed_gives_the_same_text_and_another_seed_another():
    assert make() == make()
    assert make()[0].entries != make(seed=4)[0].entries


@pytest.mark.parametrize("language", ["zh", "en", "mixed"])
def test_length_services_and_trace_are_consistent(language):
    for sequence in make(language=language):
        assert 6 <= len(sequence.entries) <= 15
        assert all(f"[traceId={sequence.meta['trace_id']}]" in line for line in sequence.entries)
        assert list(sequence.times) == sorted(sequence.times)
        assert len(sequence.times) == len(sequence.entries)


def test_every_anomaly_names_its_type_category_and_root_cause():
    anomalous = [sequence for sequence in make(2000) if sequence.label]
    assert {s.type for s in anomalous} == {"超时异常", "连接失败", "数据库错误", "服务调用失败", "资源耗尽", "权限错误"}
    assert {s.meta["category"] for s in anomalous} == {"系统", "网络", "数据库", "应用", "安全"}
    assert all(0 <= line < len(s.entries) for s in anomalous for line in s.meta["root_cause"])
    assert 0.25 < len(anomalous) / 2000 < 0.35


def test_no_keyword_gives_the_label_away():
    """Normal requests show errors too (and recover), anomalous ones may show none."""
    words = ("ERROR", "Exception", "失败", "异常")
    flagged = [(any(w in line for line in s.entries for w in words), s.label) for s in make(4000)]
    true = sum(hit and label for hit, label in flagged)
    assert 2 * true / (sum(hit for hit, _ in flagged) + sum(label for _, label in flagged)) < 0.75


def test_a_share_outside_0_to_1_is_refused_by_name():
    with pytest.raises(ValueError, match="anomaly_share"):
        Options(anomaly_share=1.5)
