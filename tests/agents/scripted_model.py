"""A model server on loopback that says what a script tells it to, in the form that clients expect."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def calls(*tools: tuple[str, dict[str, Any]], read: int = 100, written: int = 20) -> dict[str, Any]:
    """An answer that calls tools."""
    asked = [
        {
            "id": f"call-{number}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(given)},
        }
        for number, (name, given) in enumerate(tools)
    ]
    return _answer({"content": None, "tool_calls": asked}, "tool_calls", read, written)


def says(text: str, read: int = 50, written: int = 10) -> dict[str, Any]:
    """An answer in words, which ends the work."""
    return _answer({"content": text}, "stop", read, written)


def _answer(message: dict[str, Any], reason: str, read: int, written: int) -> dict[str, Any]:
    return {
        "id": "answer",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [
            {"index": 0, "finish_reason": reason, "message": {"role": "assistant", **message}}
        ],
        "usage": {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        },
    }


class ModelServer:
    """``script`` answers request after request: a body, a status, or a function to call first."""

    def __init__(self, script: list[Any]) -> None:
        self.script = script
        self.asked: list[dict[str, Any]] = []
        self._next = iter(script)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                server.asked.append(json.loads(self.rfile.read(length)))
                answer = next(server._next)
                if callable(answer):
                    answer()
                    return
                status = answer if isinstance(answer, int) else 200
                body = json.dumps({"error": "no"} if status != 200 else answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """The tests look at ``asked``."""

        return Handler

    def run(self) -> Iterator[ModelServer]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


@contextmanager
def model_server(*script: dict[str, Any] | int | Callable[[], None]) -> Iterator[ModelServer]:
    yield from ModelServer(list(script)).run()
