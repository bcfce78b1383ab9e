"""Keeps every trial as soon as it is judged, so that a calibration that was ended goes on where it was."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from pathlib import Path
from typing import Self

from pydantic import ValidationError as ShapeError

from shipway.contracts.calibration import Trial
from shipway.errors import ConflictError


class Book:
    """One file of trials, a line each. One calibration of a corpus at a time holds it.

    A line that was cut off, or is none of ours, was never written.
    """

    def __init__(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.place = place
        self._file = place / "trials.jsonl"
        self._lock = threading.Lock()
        self._held = (place / "lock").open("a")
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._held.close()
            raise ConflictError(
                "another calibration of this corpus is running",
                hint="wait for it, or end it: what it has judged is kept",
            ) from None
        self._clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def work(self) -> Path:
        """Where checks may work; empty at the start."""
        path = self.place / "work"
        path.mkdir(exist_ok=True)
        return path

    def trials(self) -> dict[str, Trial]:
        """The last trial under each key."""
        found = {}
        lines = self._file.read_bytes().split(b"\n") if self._file.is_file() else []
        for line in lines:
            try:
                trial = Trial.model_validate_json(line)
            except ShapeError:
                continue
            found[trial.key] = trial
        return found

    def write(self, trial: Trial) -> None:
        """On the disk before it counts."""
        data = trial.model_dump_json().encode() + b"\n"
        with self._lock, self._file.open("ab") as file:
            if file.tell() and not self._ends_whole():
                data = b"\n" + data
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _ends_whole(self) -> bool:
        with self._file.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def _clear(self) -> None:
        """What a calibration that was killed left behind; what tests closed is opened first."""
        work = self.place / "work"
        for root, directories, _ in os.walk(work):
            for name in directories:
                path = Path(root) / name
                if not path.is_symlink():
                    path.chmod(0o700)
        shutil.rmtree(work, ignore_errors=True)
