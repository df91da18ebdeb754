"""Writing a report's text under a grammar: two lines, a summary and the cause, that can only name what is there.

A word may be anything but what looks like a fact. Numbers are those of lines and those that the lines hold, names
with a dash, a dot or a slash those that the lines hold, and words of a line are cited by its number. So the form of
every text is right, whatever the model is and whatever a line tries to make it say. Grammar by llguidance
(https://github.com/guidance-ai/llguidance).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import llguidance.hf
import llguidance.numpy
import numpy as np
import torch
from llguidance import LLMatcher

from analysis.engine.compact import Compact
from analysis.engine.language_model import LanguageModel

LONGEST = 220
"""Tokens of a text, after which it ends with its last whole sentence."""
NAMES = 200
"""Names and numbers of a sequence that a text may hold, the first ones."""
NAME = re.compile(r"(?:/[\w.-]+)+|[A-Za-z_][\w]*(?:[-./:_=][\w]+)+|\d+(?:\.\d+)*|[A-Za-z]+\d+\w*", re.ASCII)
PLAIN = r"[^0-9\[\]\n\r\t“”\"`\/\\_{}<>=|@#$%\^~*+\-]"
WHOLE = re.compile(r".*[。！？；]|.*[.!?;](?=\s|$)", re.DOTALL)

Watch = Callable[[int, str], None]
"""Is told, of a text by its number, what has been written of it."""


@dataclass(frozen=True, slots=True)
class Task:
    """A text to write: all tokens before it, and what its sequence holds."""

    prompt: list[int]
    compact: Compact


def grammar(compact: Compact) -> str:
    """Return the Lark grammar of a text about a sequence.

    A text is one regular expression: as several a lexer would have to decide too early where a name begins.
    """
    cited = [f"[{line + 1}]" for line, words in compact.quotes.items() if words]
    facts = {*list(dict.fromkeys(NAME.findall(compact.text)))[:NAMES], *(str(line + 1) for line in compact.quotes)}
    named = "|".join(re.escape(fact).replace("/", r"\/") for fact in (*sorted(facts), *cited))
    # A plain letter between any two of them: else 1 and 1 would be the 11 that no line has.
    return f'start: TEXT "\\n" TEXT "\\n"\nTEXT: /(?:(?:{named})?{PLAIN})+(?:{named})?/'


class Writer:
    """Writes texts with a model; not for two threads at once."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.size = model.model.get_output_embeddings().weight.shape[0]

    @cached_property
    def tokens(self) -> llguidance.LLTokenizer:
        """The tokenizer as llguidance reads it; made once, in about a second."""
        return llguidance.hf.from_tokenizer(self.model.tokenizer, n_vocab=self.size)

    def fits(self, text: list[int], compact: Compact) -> bool:
        """Tell whether a text of tokens is one that the grammar allows."""
        matcher = LLMatcher(self.tokens, grammar(compact))
        return bool(matcher.validate_tokens(text) == len(text))

    @torch.inference_mode()
    def write(self, tasks: Sequence[Task], watch: Watch) -> list[tuple[str, int]]:
        """Return for each task, all of one sequence, its text and how many tokens that took; they are written together.

        A text has two lines, the second of which is shorter where `LONGEST` cut it.
        """
        matchers = [LLMatcher(self.tokens, grammar(task.compact)) for task in tasks]
        own = {token for task in tasks for token in task.prompt}
        words = torch.tensor(sorted({*self.model.words, *own}), device=self.model.device)
        rows = self.model.rows(words)
        masks = llguidance.numpy.allocate_token_bitmask(len(tasks), self.size)
        written: list[list[int]] = [[] for _ in tasks]
        cache, feed = None, [task.prompt for task in tasks]
        ids, seen, places = _left(feed, self.model.device)
        for _ in range(LONGEST):
            out = self.model.decoder(
                input_ids=ids, attention_mask=seen, position_ids=places, past_key_values=cache, use_cache=True
            )
            cache = out.past_key_values
            logits = (out.last_hidden_state[:, -1].to(rows.dtype) @ rows.T).float()
            chosen = [self._next(matcher, masks, n, logits, words) for n, matcher in enumerate(matchers)]
            for number, token in enumerate(chosen):
                if token is not None:
                    written[number].append(token)
                    watch(number, self.model.tokenizer.decode(written[number]))
            if all(token is None for token in chosen):
                break
            ids = torch.tensor([[token or 0] for token in chosen], device=self.model.device)
            seen = torch.cat([seen, torch.ones_like(seen[:, :1])], dim=1)
            places = places[:, -1:] + 1
        return [(_whole(self.model.tokenizer.decode(tokens)), len(tokens)) for tokens in written]

    def _next(
        self,
        matcher: LLMatcher,
        masks: np.ndarray[tuple[int, int], np.dtype[np.int32]],
        number: int,
        logits: torch.Tensor,
        words: torch.Tensor,
    ) -> int | None:
        """Return the likeliest token that the grammar allows next, and take it; None at the end."""
        if matcher.is_stopped():
            return None
        llguidance.numpy.fill_next_token_bitmask(matcher, masks, number)
        tokens = words.cpu().numpy()
        allowed = torch.from_numpy((masks[number, tokens >> 5] >> (tokens & 31)) & 1).bool().to(logits.device)
        if not allowed.any():  # no word of the model's can go on: the text ends here
            return None
        token = int(words[logits[number].masked_fill(~allowed, -torch.inf).argmax()])
        matcher.consume_token(token)
        return token


def _left(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return tokens, attention mask and places of rows, padded at the left: all end together."""
    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    seen = torch.zeros(len(rows), longest, dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, longest - len(row) :] = torch.tensor(row)
        seen[number, longest - len(row) :] = 1
    places = (seen.cumsum(1) - 1).clamp(min=0)
    return ids.to(device), seen.to(device), places.to(device)


def _whole(text: str) -> str:
    """Return a text without the sentence that was cut off."""
    if text.count("\n") >= 2:
        return text.rstrip("\n")
    summary, _, cause = text.partition("\n")
    kept = WHOLE.match(cause or summary)
    if not cause:
        return kept[0] if kept else summary
    return f"{summary}\n{kept[0] if kept else ''}"
