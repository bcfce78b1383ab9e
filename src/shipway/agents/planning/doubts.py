"""Collects what a document or requirement leaves open, each with the default that was taken."""

from __future__ import annotations

from shipway.contracts.change_plan import Ambiguity


class Doubts:
    """Every ambiguity once, in the order in which it was met."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Ambiguity] = {}

    def note(self, where: str, question: str, default: str) -> None:
        """Remember that ``question`` came up at ``where`` and that ``default`` was taken."""
        self._found.setdefault(
            (where, question), Ambiguity(where=where, question=question, default=default)
        )

    def forget(self, where: str, start: str) -> None:
        """Drop what turned out to be no doubt: the question at ``where`` that starts so."""
        for key in [key for key in self._found if key[0] == where and key[1].startswith(start)]:
            del self._found[key]

    def all(self) -> list[Ambiguity]:
        return list(self._found.values())


class NotPlannable(Exception):  # noqa: N818 - becomes the reason why an operation answers 501
    """Raised where an operation turns out to lie outside the behaviours; its text is the reason."""
