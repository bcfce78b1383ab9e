"""Collecting what a command prints: the head and the tail are kept, lines are passed on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

_LONGEST_LINE = 4096


class Kept:
    """Bytes up to a limit; of more than that, the first and the last half of it."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.dropped = 0

    def add(self, data: bytes) -> None:
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if not data:
            return
        self._tail.append(data)
        self._tail_size += len(data)
        while self._tail_size - len(self._tail[0]) >= self._half:
            gone = len(self._tail.popleft())
            self._tail_size -= gone
            self.dropped += gone

    def all(self) -> bytes:
        tail = b"".join(self._tail)
        if not self.truncated:
            return bytes(self._head) + tail
        over = len(tail) - self._half
        mark = f"\n[... {self.dropped + over:,} bytes left out ...]\n".encode()
        return bytes(self._head) + mark + tail[over:]

    @property
    def truncated(self) -> bool:
        return self.dropped > 0 or self._tail_size > self._half


class Lines:
    """Cuts a stream of bytes into lines of text and hands each on; very long ones in pieces."""

    def __init__(self, hand_on: Callable[[str], None]) -> None:
        self._hand_on = hand_on
        self._rest = b""

    def add(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._say(line)
        if len(self._rest) > _LONGEST_LINE:
            self._say(self._rest)
            self._rest = b""

    def end(self) -> None:
        if self._rest:
            self._say(self._rest)
        self._rest = b""

    def _say(self, line: bytes) -> None:
        self._hand_on(line[:_LONGEST_LINE].decode(errors="replace").rstrip("\r"))
