"""Load for a service under change: keep-alive and new connections, small and slow requests."""

from __future__ import annotations

import http.client
import threading
import time
from typing import Self


class Load:
    """Asks without pause and without retrying; every request that fails is remembered.

    Six clients keep their connection until the server says ``Connection: close``, three open a
    new one for each request; a third of all asks for what takes 0.3 s.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.done = 0
        self.failures: list[str] = []
        self.versions: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        kinds = [(keep, path) for keep in (True, True, False) for path in ("/v", "/v", "/slow")]
        self._threads = [threading.Thread(target=self._ask, args=kind) for kind in kinds]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, keep: bool, path: str) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stop.is_set():
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    self._fail(f"{path}: {answer.status} {body!r}")
                with self._lock:
                    self.done += 1
            except (OSError, http.client.HTTPException) as error:
                self._fail(f"{path} on {'a kept' if keep else 'a new'} connection: {error!r}")
                connection.close()
                connection = None
                continue
            if not keep or answer.getheader("Connection") == "close":
                connection.close()
                connection = None
            time.sleep(0.005)
        if connection is not None:
            connection.close()

    def _fail(self, text: str) -> None:
        with self._lock:
            self.failures.append(text)
