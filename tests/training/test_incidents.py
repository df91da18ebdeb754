"""What people rely on in analysis sets."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import islice

import pytest

from duolog.plugins.options import OptionsError
from duolog.plugins.types import LogSequence
from logs.engine import taxonomy
from logs.engine.fingerprint import fingerprints
from training.engine.split import STRATEGIES, Member, split
from training.generators.incidents import Incidents, Options
from training.generators.microservices import ANOMALOUS, HEALTHY, anomaly_types
from training.generators.shop.catalog import SERVICES
from training.generators.shop.explain import _texts

LANGUAGES = ("zh", "en", "mixed", "pairs")
NUMBER = re.compile(r"\d+(?:\.\d+)*")
HOST = re.compile(r"node-\d+\.cluster\.local|\d+\.\d+\.\d+\.\d+(?::\d+)?|shop-[0-9a-f]{8,}")
LINE = re.compile(r"第(\d+)行|\blines? ([\d, and]+)")


def make(count: int = 400, seed: int = 3, **options: object) -> list[LogSequence]:
    return list(Incidents(Options(**options)).generate(count, seed))


@pytest.fixture(scope="module", params=LANGUAGES)
def samples(request) -> list[LogSequence]:
    """More than each story takes, in each language."""
    return make(480, language=request.param)


def numbered(sample: LogSequence) -> str:
    return "\n".join(f"{number}: {line}" for number, line in enumerate(sample.entries, 1))


def test_all_that_a_text_names_stands_in_the_lines(samples):
    for sample in samples:
        answer, lines = sample.meta["analysis"], numbered(sample)
        text = " ".join([answer["explanation"], *answer["recommendations"]])
        there = set(NUMBER.findall(lines))
        assert set(NUMBER.findall(text)) <= there, sample
        assert all(name in lines for name in SERVICES if name in text), sample
        assert all(host in lines for host in HOST.findall(text)), sample
        for chinese, english in LINE.findall(text):
            for number in map(int, re.findall(r"\d+", chinese + english)):
                assert 1 <= number <= len(sample.entries), sample
        quotes = re.findall("“(.+?)”", text)
        assert quotes
        assert all(quote in lines for quote in quotes), sample
        assert not set("{}") & set(re.sub("“.+?”", "", text)), sample


def test_a_quoted_message_stands_in_the_line_that_is_named(samples):
    """Chinese tells it as 第N行SERVICE记录“…”, English as SERVICE logged “…” at line N."""
    patterns = (r"第(?P<n>\d+)行，?(?:仍然)?(?P<s>[a-z]+(?:-[a-z]+)?)记录“(?P<q>.+?)”",
                r"[Aa]t line (?P<n>\d+), (?:where )?(?P<s>[a-z-]+) (?:still )?logged “(?P<q>.+?)”",
                r"(?P<s>[a-z]+(?:-[a-z]+)?) logged “(?P<q>[^”]+)” at line (?P<n>\d+)")  # fmt: skip
    found = 0
    for sample in samples:
        for pattern in patterns:
            for match in re.finditer(pattern, sample.meta["analysis"]["explanation"]):
                line = sample.entries[int(match["n"]) - 1]
                assert match["q"] in line and match["s"] in line, sample
                found += 1
    assert found > 200


def test_the_text_of_an_anomaly_quotes_its_root_cause_and_names_its_line(samples):
    for sample in (sample for sample in samples if sample.label):
        answer = sample.meta["analysis"]
        root = answer["root_cause"][0]
        place = f"第{root + 1}行" if answer["language"] == "zh" else f"line {root + 1}"
        text = answer["explanation"]
        assert place in text or re.search(rf"\blines [\d, and]*\b{root + 1}\b", text), sample
        assert any(quote in sample.entries[root] for quote in re.findall("“(.+?)”", text)), sample


def test_the_language_of_the_answer_is_the_one_it_claims(samples):
    for sample in samples:
        answer = sample.meta["analysis"]
        said = re.sub("“.+?”", "", answer["explanation"]) + "".join(answer["recommendations"])
        assert bool(re.search("[\u4e00-\u9fff]", said)) is (answer["language"] == "zh"), sample


def test_an_answer_agrees_with_the_labels(samples):
    known = taxonomy.types()
    for sample in samples:
        answer = sample.meta["analysis"]
        if not sample.label:
            assert (sample.type, answer["category"], answer["type"], answer["severity"]) == (None,) * 4
            assert answer["root_cause"] == []
            assert re.search("不是异常|正常|no anomaly|normal", answer["explanation"])
            continue
        assert answer["category"] == known[sample.type].category
        assert answer["type"] == (sample.type if answer["language"] == "zh" else known[sample.type].english)
        assert answer["severity"] in {"low", "medium", "high", "critical"}
        assert all(0 <= line < len(sample.entries) for line in answer["root_cause"])
        assert 2 <= len(answer["recommendations"]) <= 3


def test_each_type_and_each_healthy_story_is_as_frequent_as_any_other():
    made = make(640, normal_share=0.25)
    types = Counter(sample.type for sample in made if sample.label)
    healthy = Counter(sample.meta["story"] for sample in made if not sample.label)
    assert types.keys() == set(anomaly_types()) and set(types.values()) == {20}
    assert healthy.keys() == HEALTHY.keys() and set(healthy.values()) == {20}
    assert {sample.meta["story"] for sample in made if sample.label} == ANOMALOUS.keys()
    half = make(100, normal_share=0.5, types=("超时异常", "流程乱序"))
    assert Counter(sample.type for sample in half) == {None: 50, "超时异常": 25, "流程乱序": 25}


def test_no_two_samples_have_the_same_template_sequence_so_no_two_parts_share_one():
    made = make(3000, language="pairs")
    found = fingerprints([sample.entries for sample in made])
    assert len(set(found)) == len(made)
    members = [
        Member(one.id, one.label or 0, one.type or "", one.times[0], template, one.meta["services"][0])
        for one, template in zip(made, found, strict=True)
    ]
    for strategy in set(STRATEGIES) - {"source"}:  # the shop is one source
        parts = split(members, {"train": 2400, "validation": 300, "test": 300}, 1, strategy)
        held = [{found[position] for position in positions} for positions in parts.values()]
        assert not held[0] & held[1] and not held[0] & held[2] and not held[1] & held[2]


def test_a_pair_is_one_incident_told_twice():
    pairs = defaultdict(list)
    for sample in make(400, language="pairs"):
        pairs[sample.meta["incident"]].append(sample)
    for chinese, english in pairs.values():
        one, other = chinese.meta["analysis"], english.meta["analysis"]
        assert (one["language"], other["language"]) == ("zh", "en")
        same = ("category", "severity", "root_cause")
        assert [one[name] for name in same] == [other[name] for name in same]
        assert (chinese.label, chinese.type, chinese.times) == (english.label, english.type, english.times)
        assert {k: chinese.meta[k] for k in ("services", "trace_id", "path", "story")} == {
            k: english.meta[k] for k in ("services", "trace_id", "path", "story")
        }
        assert len(chinese.entries) == len(english.entries)
        digits = [re.findall(r"\d{5,}", text) for text in (numbered(chinese), numbered(english))]
        assert digits[0] == digits[1]


def test_the_same_seed_gives_the_same_set_and_it_streams():
    assert make(60, language="pairs") == make(120, language="pairs")[:60]
    assert make(20)[0].entries != make(20, seed=4)[0].entries
    assert len(list(islice(Incidents().generate(10**12, 0), 3))) == 3


def test_a_set_that_cannot_be_filled_says_what_to_do():
    with pytest.raises(OptionsError, match="more teams"):
        make(5000, types=("流程乱序",), normal_share=0, teams=1, noise=0, services=5)
    for option in ({"normal_share": 2}, {"teams": 0}, {"types": ("no such",)}):
        with pytest.raises(ValueError, match=next(iter(option))):
            Options(**option)


def test_every_type_and_story_has_its_texts():
    texts = _texts()
    assert taxonomy.types().keys() == set(anomaly_types())
    assert texts["story"].keys() == {*HEALTHY, *ANOMALOUS}
    for known in taxonomy.types().values():
        assert len(known.advice["zh"]) == len(known.advice["en"])
        assert not any(re.search(r"\d", text) for text in known.advice["zh"] + known.advice["en"])
    assert all(len(row[name]) == 2 for row in texts["story"].values() for name in ("zh", "en"))
