"""A server that speaks OpenAI's chat protocol on loopback: answers as it is told to, and remembers what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[["Handler", dict[str, Any]], None]


class Handler(BaseHTTPRequestHandler):
    """Gives each request to the script that is next."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        chat: Chat = self.server.chat  # type: ignore[attr-defined]
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        with chat.lock:
            chat.seen.append((self.path, dict(self.headers), json.loads(raw)))
            script = chat.scripts.pop(0) if len(chat.scripts) > 1 else chat.scripts[0]
        with suppress(BrokenPipeError, ConnectionResetError):  # the client left, as some tests want it to
            script(self, json.loads(raw))

    def log_message(self, *_args: Any) -> None:
        pass

    def send(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        """Answer as a whole."""
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def stream(self) -> None:
        """Begin a stream of events."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def event(self, data: Any, before: str = "data: ") -> None:
        """Send one event."""
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        self.raw(f"{before}{text}\n\n".encode())

    def raw(self, data: bytes) -> None:
        """Send one chunk of the stream."""
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


@dataclass
class Chat:
    """Scripts in their order, the last one for ever, and what was sent: path, headers, body."""

    scripts: list[Script]
    url: str = ""
    seen: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def serving(*scripts: Script) -> Iterator[Chat]:
    """Serve until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    chat = Chat(list(scripts), f"http://127.0.0.1:{server.server_port}/v1")
    server.chat = chat  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield chat
    finally:
        server.shutdown()
        server.server_close()


def delta(text: str | None, finish: str | None = None) -> dict[str, Any]:
    """Return one piece of an answer, as vLLM sends it."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion.chunk", "model": "tiny-1", "choices": [choice], "usage": None}


def says(text: str, *, finish: str = "stop", size: int = 7, tokens: tuple[int, int] = (100, 50)) -> Script:
    """Stream a text in pieces, with what servers put between them, and the tokens at the end."""

    def script(handler: Handler, _body: dict[str, Any]) -> None:
        handler.stream()
        handler.event(": still here", before="")
        handler.event({**delta(""), "choices": [{"delta": {"role": "assistant", "reasoning_content": "hm {"}}]})
        for start in range(0, len(text), size):
            handler.event(delta(text[start : start + size]))
        handler.event(delta(None, finish))
        usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
        handler.event({**delta(None), "choices": [], "usage": usage})
        handler.event("[DONE]")
        handler.raw(b"")

    return script


def refuses(status: int, body: str = '{"error": {"message": "no"}}', **headers: str) -> Script:
    """Answer with a status."""
    return lambda handler, _body: handler.send(status, body.encode(), **headers)
