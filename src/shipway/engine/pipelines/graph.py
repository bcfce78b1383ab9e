"""Drawing a pipeline: as text for a terminal, and as Mermaid for a page."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from shipway.domain.conditions import render
from shipway.domain.pipeline import Pipeline, Stage, When
from shipway.domain.states import ICONS, StageStatus

# What a character's arms point to, as bits: left, right, up, down.
_LEFT, _RIGHT, _UP, _DOWN = 1, 2, 4, 8
_ARMS = {
    0: " ", 1: "─", 2: "─", 3: "─", 4: "│", 8: "│", 12: "│",
    5: "╯", 6: "╰", 9: "╮", 10: "╭", 7: "┴", 11: "┬", 13: "┤", 14: "├", 15: "┼",
}  # fmt: skip
Statuses = Mapping[str, StageStatus]
Cell = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Net:
    """Lines that leave the rows ``sources`` and all reach the rows ``targets`` of the next layer."""

    sources: tuple[int, ...]
    targets: tuple[int, ...]

    @property
    def rows(self) -> range:
        ends = (*self.sources, *self.targets)
        return range(min(ends), max(ends) + 1)


@dataclass(slots=True)
class _Layer:
    """One column: stage ids, or None where a line only passes; ``width`` in characters."""

    slots: list[str] = field(default_factory=list)
    width: int = 0


def text(pipeline: Pipeline, statuses: Statuses | None = None, *, width: int = 100) -> str:
    """The stages from left to right with arrows, or a list when ``width`` columns are too few."""
    labels = {stage.id: _label(stage.id, statuses) for stage in pipeline.stages}
    drawn = _draw(pipeline, labels)
    if drawn is None or max(map(columns, drawn)) > width:
        drawn = _list(pipeline, labels)
    notes = [note for stage in pipeline.stages for note in _notes(stage)]
    return "\n".join([*drawn, *([""] if notes else []), *notes])


def mermaid(pipeline: Pipeline) -> str:
    """The same as a Mermaid flow chart."""
    names = {stage.id: f"s{number}" for number, stage in enumerate(pipeline.stages)}
    lines = ["flowchart LR"]
    for stage in pipeline.stages:
        when = f"<br/>when {_escaped(render(stage.when))}" if stage.when else ""
        lines.append(f'  {names[stage.id]}["{stage.id}{when}"]')
    for stage in pipeline.stages:
        for need in stage.needs:
            arrow = "-->" if need.on is When.SUCCESS else f"-. {need.on} .->"
            lines.append(f"  {names[need.stage]} {arrow} {names[stage.id]}")
    return "\n".join(lines)


def columns(line: str) -> int:
    """How many columns of a terminal the text takes."""
    wide = {"W", "F"}
    return sum(2 if unicodedata.east_asian_width(char) in wide else 1 for char in line)


def layers(pipeline: Pipeline) -> dict[str, int]:
    """How many stages lie before each, on the longest way."""
    found: dict[str, int] = {}

    def depth(stage: Stage) -> int:
        if stage.id not in found:
            before = [depth(pipeline.stage(need.stage)) for need in stage.needs]
            found[stage.id] = max(before, default=-1) + 1
        return found[stage.id]

    for stage in pipeline.stages:
        depth(stage)
    return found


def _label(stage: str, statuses: Statuses | None) -> str:
    status = (statuses or {}).get(stage)
    return f"{ICONS[status]} {stage} {status}" if status else stage


def _escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def _notes(stage: Stage) -> list[str]:
    notes = []
    if stage.when is not None:
        notes.append(f"  {stage.id} only when {render(stage.when)}")
    notes += [
        f"  {stage.id} starts when {need.stage} is "
        f"{'over' if need.on is When.ALWAYS else 'completed'}, even if it failed"
        for need in stage.needs
        if need.on is not When.SUCCESS
    ]
    for ask in stage.asks:
        condition = f" when {render(ask.when)}" if ask.when else ""
        notes.append(f"  {stage.id} asks {ask.id}{condition}")
    return notes


def _list(pipeline: Pipeline, labels: Mapping[str, str]) -> list[str]:
    """One stage a line in order of depth, with what it waits for."""
    depths = layers(pipeline)
    ordered = sorted(pipeline.stages, key=lambda stage: depths[stage.id])
    widest = max(columns(label) for label in labels.values())
    lines = []
    for stage in ordered:
        after = ", ".join(need.stage for need in stage.needs)
        label = labels[stage.id]
        gap = " " * (widest - columns(label))
        lines.append(f"{label}{gap}  after {after}" if after else label)
    return lines


def _draw(pipeline: Pipeline, labels: Mapping[str, str]) -> list[str] | None:
    """None when lines would have to be drawn over each other."""
    placed, rows = _place(pipeline)
    gaps = [_route(pipeline, placed, rows, depth) for depth in range(len(placed) - 1)]
    height = max(len(layer.slots) for layer in placed)
    lines = [""] * height
    for depth, layer in enumerate(placed):
        layer.width = max((columns(labels.get(slot, "")) for slot in layer.slots), default=0) + 1
        nets = gaps[depth] if depth < len(gaps) else []
        if nets is None:
            return None
        _add_layer(lines, layer, labels, nets)
        if depth < len(gaps):
            _add_gap(lines, nets, placed[depth + 1])
    return [line.rstrip() for line in lines]


def _place(pipeline: Pipeline) -> tuple[list[_Layer], dict[tuple[int, str], int]]:
    """Layers of slots, where ``>stage`` carries lines of a stage past a layer; and their rows."""
    depths = layers(pipeline)
    placed = [_Layer() for _ in range(max(depths.values()) + 1)]
    for stage in pipeline.stages:
        placed[depths[stage.id]].slots.append(stage.id)
    for stage in pipeline.stages:
        for need in stage.needs:
            for depth in range(depths[need.stage] + 1, depths[stage.id]):
                if f">{need.stage}" not in placed[depth].slots:
                    placed[depth].slots.append(f">{need.stage}")
    rows: dict[tuple[int, str], int] = {}
    for depth, layer in enumerate(placed):
        if depth:
            centres = {slot: _centre(pipeline, slot, depth, rows) for slot in layer.slots}
            layer.slots.sort(key=centres.__getitem__)
        rows.update({(depth, slot): row for row, slot in enumerate(layer.slots)})
    return placed, rows


def _centre(
    pipeline: Pipeline, slot: str, depth: int, rows: Mapping[tuple[int, str], int]
) -> float:
    """The mean row of what a slot is joined to in the layer before."""
    if slot.startswith(">"):
        before = [slot, slot[1:]]
    else:
        needs = [need.stage for need in pipeline.stage(slot).needs]
        before = [*needs, *(f">{need}" for need in needs)]
    found = [rows[depth - 1, name] for name in before if (depth - 1, name) in rows]
    return sum(found) / len(found) if found else float(len(rows))


def _route(
    pipeline: Pipeline,
    placed: list[_Layer],
    rows: Mapping[tuple[int, str], int],
    depth: int,
) -> list[_Net] | None:
    """The nets between two layers in the order of their upright lines, left to right."""
    by_targets: dict[tuple[int, ...], list[int]] = {}
    for slot in placed[depth].slots:
        stage = slot.removeprefix(">")
        targets = tuple(
            row
            for row, other in enumerate(placed[depth + 1].slots)
            if other == f">{stage}"
            or (not other.startswith(">") and _needs(pipeline.stage(other), stage))
        )
        if targets:
            by_targets.setdefault(targets, []).append(rows[depth, slot])
    nets = [_Net(tuple(sources), targets) for targets, sources in by_targets.items()]
    ordered = _ordered(nets)
    return ordered if ordered is not None and _honest(ordered) else None


def _needs(stage: Stage, other: str) -> bool:
    return any(need.stage == other for need in stage.needs)


def _ordered(nets: list[_Net]) -> list[_Net] | None:
    """A net leaves a row before another arrives on it, or the two would look like one."""
    waiting = list(nets)
    ordered: list[_Net] = []
    while waiting:
        free = [net for net in waiting if not any(_first(other, net) for other in waiting)]
        if not free:
            return None
        ordered.append(free[0])
        waiting.remove(free[0])
    return ordered


def _first(one: _Net, other: _Net) -> bool:
    """Whether ``one`` must turn off further left than ``other``."""
    return one is not other and any(
        row in other.targets and one.targets != (row,) for row in one.sources
    )


def _honest(nets: list[_Net]) -> bool:
    """Whether an eye that follows the lines from each row ends at its targets and nowhere else."""
    return all(_followed(nets, row) == set(net.targets) for net in nets for row in net.sources)


def _followed(nets: list[_Net], row: int) -> set[int]:
    """The rows where lines from ``row`` end; an eye goes right, up and down, but never back."""
    last = 2 * len(nets)
    found: set[int] = set()
    seen: set[tuple[int, int, int]] = set()
    todo = [(row, 0, _RIGHT)]
    while todo:
        at = row, column, heading = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        arms = _arms(nets, row, column)
        if heading == _RIGHT and arms == _UP | _DOWN:
            arms = _RIGHT  # the line passes below this upright one
        if arms & _RIGHT and column == last:
            found.add(row)
        elif arms & _RIGHT:
            todo.append((row, column + 1, _RIGHT))
        if arms & _UP and heading != _DOWN:
            todo.append((row - 1, column, _UP))
        if arms & _DOWN and heading != _UP:
            todo.append((row + 1, column, _DOWN))
    return found


def _add_layer(
    lines: list[str],
    layer: _Layer,
    labels: Mapping[str, str],
    nets: list[_Net],
) -> None:
    leaving = {row for net in nets for row in net.sources}
    for row in range(len(lines)):
        slot = layer.slots[row] if row < len(layer.slots) else ""
        if slot.startswith(">"):
            lines[row] += "─" * layer.width
            continue
        label = labels.get(slot, "")
        rest = layer.width - columns(label) - 1
        lines[row] += f"{label} {('─' if row in leaving else ' ') * rest}"


def _add_gap(lines: list[str], nets: list[_Net], following: _Layer) -> None:
    width = 2 * len(nets) + 1
    for row in range(len(lines)):
        arms = [_arms(nets, row, column) for column in range(width)]
        arrives = any(row in net.targets for net in nets)
        passing = row < len(following.slots) and following.slots[row].startswith(">")
        leaves = any(row in net.sources for net in nets)
        start = "─" if leaves else " "
        end = ("──" if passing else "▶ ") if arrives else "  "
        lines[row] += start + "".join(_ARMS[one] for one in arms) + end


def _arms(nets: list[_Net], row: int, column: int) -> int:
    """What stands in one cell; where two nets only cross, the upright line lies on top."""
    arms = 0
    for number, net in enumerate(nets):
        of_net = _arms_of(net, row, column, 2 * number + 1)
        if of_net == _UP | _DOWN:
            return of_net
        arms |= of_net
    return arms


def _arms_of(net: _Net, row: int, column: int, upright: int) -> int:
    leaves, arrives = row in net.sources, row in net.targets
    if column < upright:
        return _LEFT | _RIGHT if leaves else 0
    if column > upright:
        return _LEFT | _RIGHT if arrives else 0
    if row not in net.rows:
        return 0
    return (
        (_LEFT if leaves else 0)
        | (_RIGHT if arrives else 0)
        | (_UP if row > net.rows.start else 0)
        | (_DOWN if row < net.rows.stop - 1 else 0)
    )
