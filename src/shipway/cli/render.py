"""Draws lines, tables and the live display; the only module that knows rich."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, OverflowMethod, RenderResult
from rich.live import Live
from rich.text import Text

from shipway.cli.lines import Field, Line, Part
from shipway.cli.output import Colour, coloured, redraws, unicode

_PIPED_WIDTH = 100_000
_NARROWEST = 20


class Screen:
    """One stream and how to draw on it: width, colour and signs as the terminal can show them."""

    def __init__(self, stream: TextIO, color: Colour = "auto") -> None:
        self.unicode = unicode(stream)
        self.live = redraws(stream)
        tty = stream.isatty()
        colour = coloured(stream, color)
        self._console = Console(
            file=stream,
            width=None if tty else _PIPED_WIDTH,
            force_terminal=tty or colour,
            no_color=not colour,
            color_system="standard" if colour else None,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )
        self._tty = tty

    @property
    def width(self) -> int:
        """Cells in a line; without a terminal, as many as it takes."""
        return max(_NARROWEST, self._console.width)

    def say(self, line: Line | str = "") -> None:
        """One line, never broken by us: a terminal wraps it, and what is copied stays whole."""
        parts = [Part(line)] if isinstance(line, str) else line
        self._console.print(_styled(parts), soft_wrap=True)

    def fields(self, rows: Sequence[Field], indent: int = 2) -> None:
        """Labelled lines with one left edge; prose wraps below its own beginning."""
        labels = max((len(row.label) for row in rows), default=0)
        previous = None
        for row in rows:
            label = "" if row.label == previous else row.label
            previous = row.label
            head = Part(f"{'':{indent}}{label:<{labels}}  ", "dim")
            if row.prose and self._tty:
                self._prose(head, row.value)
            else:
                self.say([head, *row.value])

    def _prose(self, head: Part, value: Line) -> None:
        edge = len(head.text)
        room = max(_NARROWEST, self.width - edge)
        wrapped = _styled(value).wrap(self._console, room, overflow="fold", no_wrap=False)
        for number, line in enumerate(wrapped):
            line.rstrip()
            before = Text(head.text, style=head.style) if number == 0 else Text(" " * edge)
            self._console.print(before + line, soft_wrap=True)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[Part]], give: int) -> None:
        """Columns as wide as they need; column ``give`` is cut when the terminal is too narrow."""
        lines = [[Part(head.upper(), "dim") for head in heads], *rows]
        widths = [max(cell_len(row[n].text) for row in lines) for n in range(len(heads))]
        over = sum(widths) + 2 * (len(widths) - 1) - self.width
        if over > 0:
            widths[give] = max(len(heads[give]), 8, widths[give] - over)
        for row in lines:
            cells: Line = []
            for number, part in enumerate(row):
                last = number == len(row) - 1
                width = 0 if last and number != give else widths[number]
                cells += [part._replace(width=width), Part("" if last else "  ")]
            styled = _styled(cells)
            styled.rstrip()
            self._console.print(styled, soft_wrap=True)

    def drawing(self, draw: Callable[[int], Sequence[Line]]) -> Drawing:
        """A display that is drawn again in place until it is closed."""
        return Drawing(self._console, draw, "ellipsis" if self.unicode else "crop")


class Drawing:
    """Calls ``draw(width)`` several times a second; the last picture stays in the scrollback."""

    def __init__(
        self, console: Console, draw: Callable[[int], Sequence[Line]], overflow: OverflowMethod
    ) -> None:
        self._live = Live(
            _Picture(draw, overflow),
            console=console,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=True,
            vertical_overflow="ellipsis",
        )

    def open(self) -> None:
        """Begin to draw."""
        self._live.start(refresh=True)

    def close(self) -> None:
        """Draw once more and leave the cursor below."""
        self._live.stop()


class _Picture:
    def __init__(self, draw: Callable[[int], Sequence[Line]], overflow: OverflowMethod) -> None:
        self._draw = draw
        self._overflow = overflow

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = []
        for line in self._draw(options.max_width):
            styled = _styled(line)
            styled.truncate(options.max_width, overflow=self._overflow)
            lines.append(styled)
        yield Group(*lines)


def _styled(line: Line) -> Text:
    whole = Text(no_wrap=True, end="\n")
    for part in line:
        whole.append(_sized(part.text, part.width), style=part.style or None)
    return whole


def _sized(text: str, width: int) -> str:
    if not width:
        return text
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    return set_cell_size(text, width)
