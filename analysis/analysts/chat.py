"""A client of servers that speak OpenAI's chat protocol: one streamed answer a call, bounded in time and bytes.

It follows no redirect, reads no proxy from the environment and asks for no compression: it talks to the address that
the operator set, and to no other. Addresses of a private network are as good as any: servers of one's own are there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import urllib3

from analysis.engine.lines import cut, shown
from analysis.retry_after import BUSY, seconds
from duolog.plugins.types import Reason

MOST = 4 << 20
"""Bytes of an answer, with all that the protocol wraps around it."""
Piece = Callable[[str], None]


class ServerError(Exception):
    """No answer: why, whether asking later may help (`passing`), and after how many seconds if the server said so."""

    def __init__(self, reason: Reason, *, passing: bool = False, after: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.passing, self.after = reason, passing, after


@dataclass(slots=True)
class Answer:
    """What a model wrote; `finish` says why it ended, "" while it has not."""

    text: str = ""
    finish: str = ""
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _Tokens(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Chunk(msgspec.Struct):
    model: str | None = None
    choices: list[_Choice] = []
    usage: _Tokens | None = None
    error: Any = None


_chunk = msgspec.json.Decoder(_Chunk)


class Client:
    """Asks one server; may be used by several threads at once."""

    def __init__(self, base_url: str, *, timeout: float, connections: int) -> None:
        self.url = f"{base_url.rstrip('/')}/chat/completions"
        self.timeout = timeout
        self._pool = urllib3.PoolManager(maxsize=connections, block=False, retries=False)

    def ask(self, body: Mapping[str, Any], *, key: str, piece: Piece) -> Answer:
        """Return the answer to a request; `piece` gets all of its text so far as it grows. Raises ServerError.

        `key` is sent as the bearer token, and never told in an error.
        """
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "duolog"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        until = time.monotonic() + self.timeout
        try:
            response = self._pool.request(
                "POST", self.url, body=msgspec.json.encode(body), headers=headers, redirect=False, retries=False,
                preload_content=False, timeout=urllib3.Timeout(connect=min(10.0, self.timeout), read=self.timeout),
            )  # fmt: skip
        except urllib3.exceptions.HTTPError as error:
            told = Reason("%(url)s cannot be reached: %(error)s", url=self.url, error=_hidden(str(error), key))
            raise ServerError(told, passing=True) from error
        try:
            if response.status != 200:
                raise _refusal(response, self.url, key)
            return _read(self._lines(response, until), response.headers.get("Content-Type", ""), piece, key)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            told = Reason("the answer broke off: %(error)s", error=_hidden(str(error), key))
            raise ServerError(told, passing=True) from error
        finally:
            response.close()  # not back to the pool: what is left of the answer would be the next one's beginning

    def _lines(self, response: urllib3.BaseHTTPResponse, until: float) -> Iterator[bytes]:
        """Yield the lines of a body as they come; a server that never stops is left in time."""
        left, size = b"", 0
        while data := response.read1(1 << 16):
            size += len(data)
            if size > MOST:
                raise ServerError(Reason("the answer has more than %(bytes)s bytes", bytes=MOST))
            if time.monotonic() > until:
                told = Reason("the answer took more than %(seconds)s seconds", seconds=self.timeout)
                raise ServerError(told, passing=True)
            *whole, left = (left + data).split(b"\n")
            yield from whole
        yield left


def _read(lines: Iterator[bytes], kind: str, piece: Piece, key: str) -> Answer:
    answer = Answer()
    if "event-stream" not in kind:  # a server that does not stream
        _take(b"\n".join(lines), answer, key)
        piece(answer.text)
    for line in lines:
        if not line.startswith(b"data:"):
            continue  # a comment that keeps the connection open, the name of an event
        data = line[5:].strip()
        if data == b"[DONE]":
            answer.finish = answer.finish or "stop"
            break
        before = len(answer.text)
        _take(data, answer, key)
        if len(answer.text) > before:
            piece(answer.text)
    if not answer.finish:
        raise ServerError(Reason("the answer broke off: the server closed the connection"), passing=True)
    return answer


def _take(data: bytes, answer: Answer, key: str) -> None:
    """Add what a chunk, or a whole answer, says."""
    try:
        chunk = _chunk.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        reason = Reason("the server does not speak the chat protocol: %(error)s", error=str(error))
        raise ServerError(reason, passing=True) from error
    if chunk.error:
        told = _hidden(msgspec.json.encode(chunk.error).decode(), key)
        raise ServerError(Reason("the server failed: %(error)s", error=cut(shown(told), 300)), passing=True)
    answer.model = chunk.model or answer.model
    if chunk.usage:
        answer.prompt_tokens, answer.completion_tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
    for choice in chunk.choices[:1]:
        said = choice.delta or choice.message
        answer.text += (said.content if said else "") or ""
        answer.finish = choice.finish_reason or answer.finish


def _refusal(response: urllib3.BaseHTTPResponse, url: str, key: str) -> ServerError:
    if 300 <= response.status < 400:
        return ServerError(
            Reason(
                "%(url)s answers with a redirect (%(status)s), which is not followed", url=url, status=response.status
            )
        )
    body = ""
    with suppress(urllib3.exceptions.HTTPError, OSError):
        body = _hidden(response.read1(1 << 16).decode("utf-8", "replace").strip(), key)
    told = cut(shown(body or response.reason or ""), 300)
    reason = Reason("%(url)s answers %(status)s: %(error)s", url=url, status=response.status, error=told)
    return ServerError(reason, passing=response.status in BUSY, after=seconds(response.headers.get("Retry-After", "")))


def _hidden(text: str, key: str) -> str:
    return text.replace(key, "…") if key else text
