"""What a commit tells others who share the database, by a wire beside it: always only a hint."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Collection

#: Said when there are new events; over the wire alone, whoever needs them looks by itself too.
EVENTS = "events"


class Bell:
    """Silent until somebody connects a wire; ``wire`` must return at once."""

    __slots__ = ("_mark", "_numbers", "wire")

    def __init__(self) -> None:
        self.wire: Callable[[Collection[str]], None] | None = None
        self._mark = secrets.token_hex(4)
        self._numbers = itertools.count()

    def marked(self, what: str) -> str:
        """The word with a mark by which who hears it twice knows that it is the same."""
        return what if self.wire is None else f"{what} {self._mark}{next(self._numbers):x}"

    def ring(self, words: Collection[str]) -> None:
        if self.wire is not None:
            self.wire(words)
