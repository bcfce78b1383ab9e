"""A small service on the standard library that keeps the contract of a Shipway release.

It listens on the socket it inherits, drains on SIGTERM, and misbehaves as ``behaviour.json`` says.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

BEHAVIOUR = json.loads(Path("behaviour.json").read_text())
DATA = Path(os.environ["STATE_DIRECTORY"])
ACCEPT_SECONDS, KEEP_ALIVE_SECONDS = 0.1, 5.0


class Service:
    def __init__(self) -> None:
        self.draining = False
        self.asked = 0
        self.connections: set[asyncio.Task[None]] = set()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        try:
            with contextlib.suppress(OSError, EOFError, TimeoutError):  # the client left
                while await self.exchange(reader, writer):
                    continue
        finally:
            self.connections.discard(task)
            writer.close()

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        async with asyncio.timeout(KEEP_ALIVE_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        line, *headers = head.decode().splitlines()
        status, body = await self.answer(line.split()[1])
        close = self.draining or any(h.lower() == "connection: close" for h in headers)
        writer.write(
            f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(body)}\r\n"
            f"Connection: {'close' if close else 'keep-alive'}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        return not close

    async def answer(self, path: str) -> tuple[int, bytes]:
        if path == "/health":
            return self.health(), b'{"status":"pass"}'
        if path == "/slow":
            await asyncio.sleep(0.3)
        if path == "/secrets":
            return 200, json.dumps({n: v for n, v in os.environ.items() if "DEMO" in n}).encode()
        if path == "/count":
            count = DATA / "count"
            count.write_text(str(int(count.read_text()) + 1 if count.exists() else 1))
            return 200, count.read_bytes()
        return 200, json.dumps(
            {"version": BEHAVIOUR["version"], "pid": os.getpid(), "python": sys.executable}
        ).encode()

    def health(self) -> int:
        self.asked += 1
        if BEHAVIOUR.get("health") == "never":
            return 500
        if BEHAVIOUR.get("health") == "flaps" and self.asked > 2:
            return 503
        return 200

    async def serve(self) -> None:
        loop, term = asyncio.get_running_loop(), asyncio.Event()
        if BEHAVIOUR.get("term") != "ignored":
            loop.add_signal_handler(signal.SIGTERM, term.set)
        else:
            loop.add_signal_handler(signal.SIGTERM, lambda: None)
        assert os.environ["LISTEN_PID"] == str(os.getpid())
        server = await asyncio.start_server(
            self.converse, sock=socket.socket(fileno=3), backlog=512
        )
        await term.wait()
        self.draining = True
        await asyncio.sleep(ACCEPT_SECONDS)
        if BEHAVIOUR.get("term") == "shuts down the socket":
            server.sockets[0]._sock.shutdown(socket.SHUT_RDWR)
        server.close()
        deadline = time.monotonic() + KEEP_ALIVE_SECONDS
        while self.connections and time.monotonic() < deadline:  # noqa: ASYNC110 - short and simple
            await asyncio.sleep(0.02)


def misbehave() -> None:
    sys.stdout.write(f"version {BEHAVIOUR['version']} starts\n")
    sys.stdout.flush()
    if BEHAVIOUR.get("start") == "exits" or (DATA / f"broken-{BEHAVIOUR['version']}").exists():
        sys.exit("the database schema is too new for me")
    if BEHAVIOUR.get("start") == "escapes" and os.fork() == 0:
        os.setsid()
        time.sleep(600)


misbehave()
asyncio.run(Service().serve())
