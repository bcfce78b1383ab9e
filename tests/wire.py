"""A line to a server that a test can cut at a certain word, make slow, or let refuse everybody."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Literal, Self
from urllib.parse import urlsplit

When = Literal["before", "after"]


class Wire:
    """Listens on a port of its own and passes everything on; ``cut`` is good for one connection.

    ``delay``: seconds that everything takes in each direction.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (str(parts.hostname), int(parts.port or 0))
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = url.replace(f":{parts.port}/", f":{port}/")
        self._cut: tuple[bytes, When] | None = None
        self.cuts = 0
        self.refusing = False
        self.delay = 0.0
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def cut(self, word: bytes, when: When) -> None:
        """Cut the next line on which the client says ``word``."""
        self._cut = (word, when)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for end in self._open:
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refusing:
                    client.close()
                    continue
                try:
                    server = socket.create_connection(self._target)
                except ConnectionRefusedError:
                    client.close()
                    continue
                self._open += [client, server]
                threading.Thread(target=self._upwards, args=(client, server), daemon=True).start()
                threading.Thread(target=self._downwards, args=(server, client), daemon=True).start()

    def _upwards(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                time.sleep(self.delay)
                wanted = self._cut
                if wanted is None or wanted[0] not in data:
                    server.sendall(data)
                    continue
                self._cut = None
                self.cuts += 1
                if wanted[1] == "after":
                    client.shutdown(socket.SHUT_RDWR)  # nobody hears the answer
                    server.sendall(data)
                    server.shutdown(socket.SHUT_WR)
                    while server.recv(65536):
                        continue
                break
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _downwards(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                time.sleep(self.delay)
                client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
