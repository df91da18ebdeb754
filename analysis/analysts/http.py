"""The analyst `http`: any server that speaks OpenAI's chat protocol, asked for one JSON object a case.

The verdict and all wordings come in one answer, so languages never disagree. No tools are offered: whatever a line
talks the model into, it can only answer, and an answer that is no report is none.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any, Literal
from urllib.parse import urlsplit

from analysis.analysts.chat import Answer, Client, Piece, ServerError
from analysis.engine import prompt, schema
from analysis.engine.lines import cut
from analysis.engine.reply import ReplyError, parse, wording_so_far
from duolog.plugins.points import Analyst
from duolog.plugins.types import Case, Context, Draft, Language, Reason, Report, Unexplained, Usage

CHARACTERS = 1.5
"""Characters of a prompt a token, on the careful side: Chinese has about that many, English logs have two or three."""
AGAIN = 1500
"""Characters kept free to tell a model what was wrong with its answer."""
PATIENCE = 60.0
"""Seconds that are waited at most, whatever a server asks for."""
PACE = 0.1
"""Seconds between two drafts of a report."""
OURS = frozenset({
    "model", "messages", "stream", "stream_options", "response_format", "guided_json", "max_tokens", "temperature", "n",
    "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "web_search_options", "enable_search",
})  # fmt: skip
"""Members of a request that are not for `extra`: those that we set, and those that would let a model act."""


class Stopped(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True)
class Options:
    """Where the server is and how to ask it; set by whoever runs Duolog, never by users of a project.

    `key_env` names the environment variable that holds the key (or, with `_FILE` appended, the path of a file that
    does): the key itself is no option. `timeout` is in seconds, for one answer as a whole. `budget` bounds the tokens
    of a call, read and written; `max_tokens` those written. Prices are per million tokens. `extra` joins the request,
    as {"chat_template_kwargs": {"enable_thinking": false}} does for Qwen3 on vLLM.
    """

    base_url: str
    model: str
    key_env: str = ""
    timeout: float = 120.0
    retries: int = 2
    max_tokens: int = 2000
    budget: int = 8192
    structured: Literal["json_schema", "json_object", "guided_json", "none"] = "json_schema"
    concurrency: int = 4
    price_in: float = 0.0
    price_out: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("base_url is no address of the form http://host:port/v1")
        if parts.username or parts.password:
            raise ValueError("base_url holds a user or password; name the variable of the key by key_env")
        if not self.model.strip():
            raise ValueError("model is empty; name a model of the server")
        if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*|", self.key_env):
            raise ValueError("key_env is no name of an environment variable; it must not be the key itself")
        for name in ("timeout", "max_tokens", "budget", "concurrency"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be more than 0")
        if not min(self.retries, self.price_in, self.price_out) >= 0:
            raise ValueError("retries, price_in and price_out must be 0 or more")
        if taken := OURS & self.extra.keys():
            raise ValueError(f"extra holds {', '.join(sorted(taken))}, which it may not set")


class Http(Analyst):
    """Explains by a large model on a server."""

    remote = True
    Options = Options

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._client = Client(options.base_url, timeout=options.timeout, connections=options.concurrency)

    def explain(
        self, cases: Sequence[Case], languages: Sequence[Language], ctx: Context, draft: Draft
    ) -> list[Report | Unexplained]:
        """Ask for several cases at once; one that fails is Unexplained."""
        key = self._key()
        told: SimpleQueue[tuple[int, str] | None] = SimpleQueue()
        stop = Event()
        pool = ThreadPoolExecutor(self.options.concurrency, "http-analyst")
        try:
            futures: list[Future[Report | Unexplained]] = []
            for number, case in enumerate(cases):
                asking = _Asking(self.options, self._client, key, case, languages, stop, _teller(told, number))
                futures.append(pool.submit(asking.explain))
                futures[-1].add_done_callback(lambda _future: told.put(None))
            left = len(futures)
            while left:
                # Both are the host's, which knows nothing of our threads.
                ctx.checkpoint()
                try:
                    news = told.get(timeout=0.25)
                except Empty:
                    continue
                if news:
                    draft(*news)
                else:
                    left -= 1
            return [future.result() for future in futures]
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _key(self) -> str:
        """Return the key as it is now: files of secrets are replaced while we run."""
        name = self.options.key_env
        if not name:
            return ""
        key = os.environ.get(name)
        if key is None and (file := os.environ.get(f"{name}_FILE")):
            try:
                key = Path(file).read_text(encoding="utf-8")
            except (OSError, UnicodeError) as error:
                why = Reason("the file that %(name)s names cannot be read", name=f"{name}_FILE")
                raise ServerError(why) from error
        key = (key or "").strip()
        if not key:
            why = Reason("there is no key: neither %(name)s nor %(name)s_FILE is set in the environment", name=name)
            raise ServerError(why)
        if not key.isascii() or not key.isprintable():
            raise ServerError(Reason("the key of %(name)s holds characters that no header takes", name=name))
        return key


@dataclass
class _Asking:
    """One case being asked about, in a thread of its own, and what that took so far."""

    options: Options
    client: Client
    key: str
    case: Case
    languages: Sequence[Language]
    stop: Event
    tell: Piece
    usage: Usage = field(default_factory=Usage)
    _told: float = 0.0

    def explain(self) -> Report | Unexplained:
        """Ask, and once more where the answer is no report."""
        room = int((self.options.budget - self.options.max_tokens) * CHARACTERS) - AGAIN
        try:
            asked = prompt.messages(self.case, self.languages, budget_characters=room)
            answer = self._answer(asked)
            try:
                report = self._report(answer)
            except ReplyError as error:
                wrong = cut(str(error), AGAIN // 3)
                report = self._report(self._answer(prompt.again(self.case, asked, cut(answer.text, AGAIN // 2), wrong)))
        except ReplyError as error:
            text = Reason("%(model)s gave no report: %(error)s", model=self.options.model, error=str(error))
            return Unexplained(text, self.usage)
        except ServerError as error:
            return Unexplained(error.reason, self.usage)
        except ValueError as error:  # the budget has no room for the rules
            return Unexplained(Reason("the budget is too small: %(error)s", error=str(error)), self.usage)
        return replace(report, usage=self.usage)

    def _report(self, answer: Answer) -> Report:
        return parse(answer.text, self.case, self.languages)

    def _answer(self, messages: list[dict[str, str]]) -> Answer:
        """Return a whole answer; a server that is busy or broken is asked again, after a while."""
        for attempt in range(self.options.retries + 1):
            began = time.monotonic()
            try:
                answer = self.client.ask(self._body(messages), key=self.key, piece=self._piece)
            except ServerError as error:
                self._count(Answer(), began)
                if not error.passing or attempt == self.options.retries:
                    raise
                # Some jitter: the other cases were refused at the same moment.
                wait = error.after or 2.0**attempt * random.uniform(0.5, 1.0)
                if self.stop.wait(min(wait, PATIENCE)):
                    raise Stopped from error
                continue
            self._count(answer, began)
            if answer.finish == "length":
                most = self.options.max_tokens
                why = Reason("%(model)s wrote more than max_tokens=%(most)s", model=self.options.model, most=most)
                raise ServerError(why)
            if answer.finish == "content_filter":
                raise ServerError(Reason("the server kept back what %(model)s answered", model=self.options.model))
            return answer
        raise AssertionError("unreachable")

    def _piece(self, text: str) -> None:
        if self.stop.is_set():
            raise Stopped
        if time.monotonic() - self._told >= PACE and (told := wording_so_far(text)):
            self.tell(told)
            self._told = time.monotonic()

    def _count(self, answer: Answer, began: float) -> None:
        cost = answer.prompt_tokens * self.options.price_in + answer.completion_tokens * self.options.price_out
        self.usage = Usage(
            answer.model or self.usage.model or self.options.model,
            self.usage.prompt_tokens + answer.prompt_tokens,
            self.usage.completion_tokens + answer.completion_tokens,
            self.usage.seconds + time.monotonic() - began,
            self.usage.cost + cost / 1e6,
        )

    def _body(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        asked = schema.reply_schema(self.case, self.languages)
        shapes: Mapping[str, dict[str, Any]] = {
            "json_schema": {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "report", "strict": True, "schema": asked},
                }
            },
            "json_object": {"response_format": {"type": "json_object"}},
            "guided_json": {"guided_json": asked},
            "none": {},
        }
        return {
            **self.options.extra,
            "model": self.options.model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": self.options.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            **shapes[self.options.structured],
        }


def _teller(told: SimpleQueue[tuple[int, str] | None], number: int) -> Piece:
    return lambda text: told.put((number, text))
