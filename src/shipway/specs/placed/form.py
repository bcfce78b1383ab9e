"""Reading one YAML table field by field: known names, right types, values within bounds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from shipway.specs.placed.faults import Faults, Spot, did_you_mean
from shipway.specs.placed.reading import Node, Scalar, Sequence, Table

T = TypeVar("T")
NAME = re.compile(r"^[a-z][a-z0-9_-]{0,39}$")
RESERVED = frozenset({"run", "and", "or", "not", "in", "true", "false", "null"})
_DURATION = re.compile(r"^(\d{1,9})(ms|s|m|h|d)$")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class Marked(Generic[T]):
    """A value and where it was written."""

    value: T
    spot: Spot


def kind_of(node: Node) -> str:
    """What a person would call the node."""
    match node:
        case Table():
            return "a table"
        case Sequence():
            return "a list"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=bool()):
            return "true or false"
        case Scalar(value=int() | float()):
            return "a number"
        case _:
            return "text"


def seconds(text: str) -> float | None:
    """``30s``, ``10m``, ``2h``, ``7d`` or ``250ms`` in seconds; None when it is no duration."""
    match = _DURATION.match(text)
    return int(match[1]) * _SECONDS[match[2]] if match else None


class Form:
    """One table, whose fields are asked for by name; what is wrong with them goes to ``faults``."""

    def __init__(self, table: Table, known: tuple[str, ...], what: str, faults: Faults) -> None:
        self.spot = table.spot
        self.faults = faults
        self._table = table
        self._what = what
        for name, spot in table.keys.items():
            if name not in known:
                faults.add(spot, f"{what} has no field `{name}`", did_you_mean(name, known))

    def has(self, name: str) -> bool:
        return name in self._table.fields

    def key(self, name: str) -> Spot:
        """Where the field stands, or the table when it does not."""
        return self._table.keys.get(name, self.spot)

    def node(self, name: str) -> Node | None:
        return self._table.fields.get(name)

    def required(self, name: str, remedy: str) -> Node | None:
        node = self.node(name)
        if node is None:
            self.faults.add(self.spot, f"{self._what} has no `{name}`", remedy)
        return node

    def wrong(self, name: str, node: Node, wanted: str, remedy: str) -> None:
        self.faults.add(
            node.spot, f"`{name}` must be {wanted}, but {kind_of(node)} stands here", remedy
        )

    def text(self, name: str, remedy: str, *, needed: bool = True) -> Marked[str] | None:
        """Text that is not empty."""
        node = self.required(name, remedy) if needed else self.node(name)
        match node:
            case None:
                return None
            case Scalar(spot, str() as value) if value.strip():
                return Marked(value.strip(), spot)
            case Scalar(spot, str()):
                self.faults.add(spot, f"`{name}` is empty", remedy)
            case _:
                self.wrong(name, node, "text", remedy)
        return None

    def name(self, name: str, remedy: str, *, needed: bool = True) -> Marked[str] | None:
        """A word that conditions, file names and commands can all carry."""
        found = self.text(name, remedy, needed=needed)
        if found is None:
            return None
        if not NAME.match(found.value):
            self.faults.add(
                found.spot,
                f"`{found.value[:60]}` cannot be used as `{name}`",
                "use lower-case letters, digits, `-` and `_`, beginning with a letter, "
                "40 characters at most",
            )
            return None
        return found

    def word(self, name: str, words: tuple[str, ...], default: str) -> str:
        """One of a few words."""
        found = self.text(name, did_you_mean("", words), needed=False)
        if found is None:
            return default
        if found.value not in words:
            self.faults.add(
                found.spot,
                f"`{name}` cannot be `{found.value[:60]}`",
                did_you_mean(found.value, words),
            )
            return default
        return found.value

    def whole(self, name: str, low: int, high: int, default: int) -> int:
        match self.node(name):
            case None:
                return default
            case Scalar(value=bool()) as node:
                self.wrong(name, node, "a whole number", f"write one from {low} to {high}")
            case Scalar(spot, int() as value):
                if low <= value <= high:
                    return value
                self.faults.add(
                    spot, f"`{name}` is {value}, outside {low} to {high}", "choose one within"
                )
            case node:
                self.wrong(name, node, "a whole number", f"write one from {low} to {high}")
        return default

    def flag(self, name: str, *, default: bool) -> bool:
        match self.node(name):
            case None:
                return default
            case Scalar(value=bool() as value):
                return value
            case node:
                self.wrong(name, node, "true or false", "write `true` or `false`")
                return default

    def duration(self, name: str, low: float, high: float, default: float) -> Marked[float]:
        """Seconds; ``low`` and ``high`` are bounds in seconds."""
        remedy = f"write a duration like `30s`, `10m` or `7d`, from {short(low)} to {short(high)}"
        match self.node(name):
            case None:
                return Marked(default, self.spot)
            case Scalar(spot, str() as text) if (value := seconds(text)) is not None:
                if low <= value <= high:
                    return Marked(value, spot)
                self.faults.add(spot, f"`{name}` is {text}, which is out of bounds", remedy)
            case node:
                self.wrong_duration(name, node, remedy)
        return Marked(default, self.key(name))

    def wrong_duration(self, name: str, node: Node, remedy: str) -> None:
        shown = f" `{str(node.value)[:40]}`" if isinstance(node, Scalar) else ""
        self.faults.add(node.spot, f"`{name}`{shown} is no duration", remedy)

    def items(self, name: str, remedy: str) -> Iterator[Node]:
        """The items of a list; nothing when the field is not there."""
        match self.node(name):
            case None:
                return
            case Sequence(items=items):
                yield from items
            case node:
                self.wrong(name, node, "a list", remedy)

    def words(self, name: str, remedy: str) -> list[Marked[str]]:
        """A list of texts."""
        found: list[Marked[str]] = []
        for item in self.items(name, remedy):
            match item:
                case Scalar(spot, str() as value) if value:
                    found.append(Marked(value, spot))
                case _:
                    self.wrong(name, item, "a list of words", remedy)
        return found

    def table(self, name: str, remedy: str) -> Table | None:
        match self.node(name):
            case None:
                return None
            case Table() as table:
                return table
            case node:
                self.wrong(name, node, "a table", remedy)
                return None


def short(value: float) -> str:
    """Seconds as the shortest duration that a pipeline could say."""
    for unit in ("d", "h", "m", "s"):
        if value >= _SECONDS[unit] and value % _SECONDS[unit] == 0:
            return f"{int(value // _SECONDS[unit])}{unit}"
    return f"{round(value * 1000)}ms"


def each(nodes: Iterator[Node], read: Callable[[Node], T | None]) -> list[T]:
    """What ``read`` could make of each node."""
    return [made for node in nodes if (made := read(node)) is not None]
