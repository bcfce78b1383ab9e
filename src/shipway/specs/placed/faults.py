"""Faults: everything that is wrong with a text, each with its place and its remedy."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in the text; lines and columns count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong, where it stands, and what to do about it."""

    file: str
    line: int
    column: int
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message} ({self.remedy})"


class Faults:
    """Collects the faults of one file, so that a person sees all of them at once.

    ``noun`` is what the file holds: a pipeline, a policy.
    """

    def __init__(self, file: str, noun: str = "pipeline") -> None:
        self.noun = noun
        self._file = file
        self._found: set[Fault] = set()

    def add(self, spot: Spot, message: str, remedy: str) -> None:
        self._found.add(Fault(self._file, spot.line, spot.column, message, remedy))

    def listed(self) -> list[Fault]:
        """All of them, in the order of the text."""
        return sorted(self._found)

    def __bool__(self) -> bool:
        return bool(self._found)


def choices(words: Collection[str]) -> str:
    """A list of words for a sentence: ``a, b or c``."""
    ordered = [f"`{word}`" for word in words]
    return " or ".join([", ".join(ordered[:-1]), ordered[-1]] if len(ordered) > 1 else ordered)


def did_you_mean(word: str, known: Collection[str]) -> str:
    """The nearest known word as a question, or else all of them."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"use {choices(sorted(known))}" if known else "there is none to choose from"
