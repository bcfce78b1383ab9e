"""What is to run in a fence, within which limits, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from shipway.contracts.evidence import FenceReport


@dataclass(frozen=True, slots=True)
class Limits:
    """What a command may use at most; all are enforced.

    ``seconds`` is wall-clock time. ``memory_mb`` holds for each process at once and for all
    together a moment later; ``disk_mb`` is how much the writable directories may grow together;
    ``file_mb`` is for one file, ``tmp_mb`` for each of the home and temporary file systems, which
    live in memory; beyond ``output_mb`` the middle of the output is thrown away.
    """

    seconds: float = 600.0
    memory_mb: int = 4096
    processes: int = 512
    open_files: int = 1024
    file_mb: int = 512
    disk_mb: int = 2048
    tmp_mb: int = 512
    output_mb: int = 16


@dataclass(frozen=True, slots=True)
class Command:
    """One command, as an argument list, and the walls to put around it.

    All of the file system is read-only but ``writable``. The real home, the state directory,
    ``/tmp`` and ``/run`` look empty inside but for what is writable or ``readable``; ``hidden``
    names more such directories. The virtual environment that ``argv[0]`` or the ``PATH`` of
    ``env`` lies in is readable without being named. ``env`` is added to a small clean environment.
    Without ``network`` there is the loopback device and nothing else.
    """

    argv: tuple[str, ...]
    cwd: Path
    writable: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    network: bool = False
    limits: Limits = field(default_factory=Limits)
    stdin: bytes | None = None
    hidden: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of a command: facts, whatever they are, never an exception.

    ``output`` is stdout and stderr as they came. When there was more than ``output_mb``, it is
    ``truncated``: the head and the tail with a line between that says so. ``missing`` means that
    there was no such command (exit code 127); ``exceeded`` that it was killed for its memory or
    its files on disk.
    """

    argv: tuple[str, ...]
    exit_code: int | None
    signal: int | None
    timed_out: bool
    cancelled: bool
    truncated: bool
    output: bytes
    stdout: bytes
    started_at: str
    ended_at: str
    seconds: float
    fence: FenceReport
    missing: bool = False
    exceeded: Literal["memory", "disk"] | None = None

    @property
    def ok(self) -> bool:
        """Whether it ran to its own end and said that all is well."""
        return self.exit_code == 0

    def tail(self, lines: int = 40) -> str:
        """The end of the output, as text."""
        return "\n".join(self.output.decode(errors="replace").splitlines()[-lines:])

    def why(self) -> str:
        """In a few words how it ended, to follow "the command"."""
        if self.missing:
            return f"was not found: {self.argv[0]}"
        if self.timed_out:
            return f"was stopped after {self.seconds:.0f} s"
        if self.cancelled:
            return "was cancelled"
        if self.exceeded:
            return f"used more {self.exceeded} than it may"
        if self.signal is not None:
            return f"was ended by signal {self.signal}"
        return f"ended with exit code {self.exit_code}"
