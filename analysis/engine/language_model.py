"""A causal language model with a LoRA adapter, of which only the words that an answer can hold are ever computed.

Three quarters of a small multilingual model are its table of words (262,144 rows of Gemma's 270 M parameters), and
multiplying by all of it costs more than the rest. A type is decided by one row each (`marks`), a text by the rows of
the words that training's texts hold and of the case's own (vocabulary selection, L'Hostis et al. 2016,
https://arxiv.org/abs/1610.00072).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detection.engine.device import device, native_bf16

ASK = "\n规则:{rules}\n类型:"
"""What follows the lines: what the rules make of them, and then the type, whose word is the next one."""
TONGUES = {"zh": "\n中文:", "en": "\nEnglish:"}
"""What follows the type; the text comes next."""

SAFE = {"use_safetensors": True, "trust_remote_code": False}
"""How weights are read. Left unsaid, transformers asks whoever sits at the terminal whether to run a model's code."""


class LanguageModel:
    """A base model, its tokenizer, and an adapter once there is one; `backend` says by what means it computes."""

    def __init__(self, folder: Path, *, rank: int = 0, seed: int = 0) -> None:
        torch.manual_seed(seed)  # of the adapter, which begins at random
        self.model, self.tokenizer, self.backend = _load(folder, rank)
        self.device = next(self.model.parameters()).device
        self.types: list[str] = []
        self.marks = torch.empty(0, dtype=torch.long)
        self.words: list[int] = []

    # --- words --------------------------------------------------------------------------------------------------

    def ids(self, text: str, *, first: bool = False) -> list[int]:
        """Return the tokens of a text; the first one of a prompt begins as the model expects it."""
        found: list[int] = self.tokenizer(text, add_special_tokens=first).input_ids
        return found

    def knows(self, types: Sequence[str], words: Sequence[int]) -> None:
        """Take the types that it may answer, and the tokens that its texts may hold.

        Each type is decided by one token of its name, the first that no type before it has taken, so that all of them
        are decided in one pass. Raises ValueError for a type that has none of its own.
        """
        self.types, self.words = list(types), sorted(set(words))
        marks: list[int] = []
        for name in self.types:
            free = [token for token in self.ids(name) if token not in marks]
            if not free:
                raise ValueError(f"the type {name!r} shares all of its words with other types; give it another name")
            marks.append(free[0])
        self.marks = torch.tensor(marks, device=self.device)

    # --- forward ------------------------------------------------------------------------------------------------

    def hidden(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Return the last hidden states [rows, longest, width] of token rows, padded at the right."""
        longest = max(map(len, rows))
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        seen = torch.zeros(len(rows), longest, dtype=torch.long)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row)
            seen[number, : len(row)] = 1
        out: Tensor = self.decoder(
            input_ids=ids.to(self.device), attention_mask=seen.to(self.device), use_cache=False
        ).last_hidden_state
        return out

    @property
    def decoder(self) -> Any:
        """The model without its table of words: tokens to hidden states."""
        base = self.model.get_base_model() if hasattr(self.model, "peft_config") else self.model
        return base.get_decoder()

    def rows(self, tokens: Tensor) -> Tensor:
        """Return the rows [tokens, width] of the table of words."""
        table: Tensor = self.model.get_output_embeddings().weight
        return table[tokens].detach()

    def decide(self, states: Tensor) -> Tensor:
        """Return the logits [n, types] of the types, given the hidden states [n, width] at the end of prompts."""
        return states.float() @ self.rows(self.marks).float().T

    # --- the adapter --------------------------------------------------------------------------------------------

    def parameters(self) -> list[torch.nn.Parameter]:
        """Return what is learned."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def adapter(self) -> dict[str, Tensor]:
        """Return the adapter's tensors, by name."""
        from peft import get_peft_model_state_dict

        return {name: tensor.detach().float().cpu() for name, tensor in get_peft_model_state_dict(self.model).items()}

    def adapt(self, tensors: dict[str, Tensor]) -> None:
        """Take up an adapter's tensors; raise ValueError if they are of another base or rank."""
        from peft import set_peft_model_state_dict

        found: Any = set_peft_model_state_dict(self.model, tensors)
        if found.unexpected_keys:
            raise ValueError(f"the adapter is of another base model: it has {found.unexpected_keys[0]}")

    def merge(self) -> None:
        """Add the adapter to the weights: nothing can be learned any more, and each pass is faster."""
        if self.backend.startswith("peft, bf16"):  # rounding it into 4 bits would lose it
            self.model = self.model.merge_and_unload()
        self.model.eval()


def _load(folder: Path, rank: int) -> tuple[Any, Any, str]:
    """Return model, tokenizer and back end: unsloth or 4-bit weights on a GPU, else plain bf16 weights."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    _check(folder)
    if torch.cuda.is_available():
        try:
            from unsloth import FastLanguageModel
        except (ImportError, NotImplementedError, RuntimeError):  # as it fails without the GPU or torchvision it needs
            pass
        else:
            model, tokenizer = FastLanguageModel.from_pretrained(str(folder), load_in_4bit=True, local_files_only=True)
            if rank:
                model = FastLanguageModel.get_peft_model(
                    model, r=rank, lora_alpha=2 * rank, lora_dropout=0.0, use_gradient_checkpointing="unsloth"
                )
            return model, tokenizer, "unsloth, nf4"
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    settings: dict[str, Any] = {"dtype": torch.bfloat16 if native_bf16() else torch.float32, **SAFE}
    backend = f"peft, {'bf16' if native_bf16() else 'fp32'}, {device().type}"
    if torch.cuda.is_available():
        settings["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
        )
        backend = "peft, nf4, cuda"
    model = AutoModelForCausalLM.from_pretrained(folder, **settings)
    model = model if torch.cuda.is_available() else model.to(device())  # type: ignore[arg-type]
    model.requires_grad_(False)
    if rank:
        model = _with_adapter(model, rank)
    return model.eval(), tokenizer, backend


def _with_adapter(model: Any, rank: int) -> Any:
    from peft import get_peft_model, prepare_model_for_kbit_training

    if torch.cuda.is_available():
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=True)
    return get_peft_model(model, _lora(rank))


def _lora(rank: int) -> Any:
    from peft import LoraConfig

    # LoRA, Hu et al. 2021 (https://arxiv.org/abs/2106.09685), on all linear layers as QLoRA has it, Dettmers et al.
    # 2023 (https://arxiv.org/abs/2305.14314).
    return LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear")


def _check(folder: Path) -> None:
    """Raise ValueError for a model that only code of its own can compute: such code is never run."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as KNOWN

    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type", "")
    if kind not in KNOWN:
        raise ValueError(
            f"{folder.name} is a model of the type {kind!r}, which transformers cannot compute without code that comes "
            "with the model, and such code is never run: take one of the types qwen2, qwen3, glm, glm4, gemma3, llama"
        )


def export(folder: Path, rank: int, tensors: dict[str, Tensor], out: Path) -> None:
    """Write a base model and an adapter as one model into a folder: bf16 safetensors, configuration, tokenizer.

    The base is read in bf16 for that, whatever it is computed in here: 4 bits would be those of the base no more.
    """
    from peft import get_peft_model, set_peft_model_state_dict
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _check(folder)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, **SAFE)
    model = get_peft_model(base, _lora(rank))
    found: Any = set_peft_model_state_dict(model, tensors)
    if found.unexpected_keys:
        raise ValueError(f"the adapter is of another base model: it has {found.unexpected_keys[0]}")
    model.merge_and_unload().save_pretrained(out)
    AutoTokenizer.from_pretrained(folder, trust_remote_code=False).save_pretrained(out)
    for file in folder.glob("tokenizer.model"):  # converters such as llama.cpp's read this one
        shutil.copy(file, out)
