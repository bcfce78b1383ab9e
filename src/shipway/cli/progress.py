"""Shows a run while it goes on: a board drawn in place on a terminal, appended lines elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from shipway.cli import runtext
from shipway.cli.lines import Part
from shipway.cli.words import clock, duration, now

if TYPE_CHECKING:
    from shipway.cli.lines import Line
    from shipway.cli.render import Drawing, Screen
    from shipway.contracts.views import RunDetail, StageView

_QUIET_SECONDS = 1.0


class Progress(Protocol):
    """Told of every change of a run."""

    def update(self, detail: RunDetail) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Silent:
    """Shows nothing: ``--quiet``."""

    def update(self, detail: RunDetail) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to put away."""


class Appended(Silent):
    """One line for each change, with words that can be searched for; nothing is ever drawn over.

    What a stage is doing is said at most once a second for each stage; states are always said.
    """

    def __init__(self, screen: Screen, at: Callable[[], datetime] = now) -> None:
        self._screen = screen
        self._at = at
        self._headed = False
        self._states: dict[str, tuple[str, int]] = {}
        self._doing: dict[str, tuple[str, datetime]] = {}
        self._run = ""
        self._lock = threading.Lock()

    def update(self, detail: RunDetail) -> None:
        """Say what has changed since the last time."""
        with self._lock:
            if not self._headed:
                self._headed = True
                self._say(runtext.heading(detail))
            ended = detail.summary.status.is_final
            if not ended:
                self._status(detail)
            for stage in detail.stages:
                self._stage(stage)
            if ended:
                self._status(detail)

    def _status(self, detail: RunDetail) -> None:
        status = detail.summary.status.value
        if status != self._run:
            self._run = status
            self._say([self._clock(), Part("run "), runtext.word(status)])

    def _stage(self, stage: StageView) -> None:
        state = (stage.status.value, stage.attempt)
        before = self._states.get(stage.id, ("pending", stage.attempt))
        words = runtext.stage_words(stage)
        if state != before:
            self._states[stage.id] = state
            self._line(stage, words)
        elif not stage.status.is_final and words and self._is_news(stage.id, words):
            self._line(stage, words)

    def _is_news(self, stage: str, words: str) -> bool:
        said, at = self._doing.get(stage, ("", None))
        if words == said:
            return False
        return at is None or (self._at() - at).total_seconds() >= _QUIET_SECONDS

    def _line(self, stage: StageView, words: str) -> None:
        self._doing[stage.id] = (words, self._at())
        seconds = runtext.stage_seconds(stage, self._at())
        line = [self._clock(), Part(stage.id), Part(" "), runtext.word(stage.status.value)]
        if stage.attempt > 1:
            line.append(Part(f" attempt {stage.attempt}"))
        if seconds is not None and stage.status.is_final:
            line.append(Part(f" {duration(seconds)}"))
        if words:
            line.append(Part(f": {words}"))
        self._say(line)

    def _clock(self) -> Part:
        return Part(f"{clock(self._at().isoformat())} ", "dim")

    def _say(self, line: Line) -> None:
        try:
            self._screen.say(line)
        except BrokenPipeError:
            # The reader has gone; the run goes on, and its end is still in the exit code.
            from shipway.cli.output import silence_stdout

            silence_stdout()


class Board(Silent):
    """One line a stage, drawn in place; the last picture stays in the scrollback."""

    def __init__(self, screen: Screen, foot: str) -> None:
        self._screen = screen
        self._foot = foot
        self._detail: RunDetail | None = None
        self._drawing: Drawing | None = None

    def update(self, detail: RunDetail) -> None:
        """Remember it for the next time the picture is drawn."""
        self._detail = detail

    def __enter__(self) -> Self:
        self._drawing = self._screen.drawing(self._draw)
        self._drawing.open()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._drawing is not None:
            self._foot = ""
            self._drawing.close()

    def _draw(self, width: int) -> list[Line]:
        if self._detail is None:
            return [[Part("starting", "dim")]]
        unicode = self._screen.unicode
        return runtext.board(self._detail, now(), width, self._foot, unicode=unicode)


def progress_for(screen: Screen, foot: str, *, quiet: bool) -> Progress:
    """The right one for this stream."""
    if quiet:
        return Silent()
    return Board(screen, foot) if screen.live else Appended(screen)
