"""Where words go: data to stdout, everything else to stderr, and whether in colour."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

Colour = Literal["auto", "always", "never"]

# Escape sequences and control characters can rewrite what a person has read (or type for them).
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b.?", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Output:
    """How one command speaks: JSON or for people, in colour or not."""

    json: bool = False
    color: Colour = "auto"

    def emit(self, value: Any) -> None:
        """Write one JSON document to stdout."""
        write(sys.stdout, json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")

    def note(self, text: str) -> None:
        """Tell a person something beside the data, on stderr."""
        write(sys.stderr, clean(text) + "\n")


def write(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()


def write_bytes(data: bytes) -> None:
    """Data as it is, for other programs."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def coloured(stream: TextIO, choice: Colour, environ: Mapping[str, str] | None = None) -> bool:
    """Whether to colour: the flag, then NO_COLOR, FORCE_COLOR, CLICOLOR, TERM, then a terminal."""
    env = os.environ if environ is None else environ
    if choice != "auto":
        return choice == "always"
    if env.get("NO_COLOR"):
        return False
    for variable in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        if env.get(variable, "0") not in {"", "0", "false"}:
            return True
    if env.get("TERM") == "dumb" or env.get("CLICOLOR") == "0":
        return False
    return stream.isatty()


def redraws(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Whether lines may be drawn again in place: a terminal that can move its cursor."""
    env = os.environ if environ is None else environ
    return stream.isatty() and env.get("TERM", "") not in {"", "dumb"}


def unicode(stream: TextIO) -> bool:
    """Whether the stream can carry signs such as a check mark."""
    return (stream.encoding or "").lower().replace("-", "") in {"utf8", "utf16", "utf32"}


def clean(text: str, *, colours: bool = False) -> str:
    """Text from elsewhere without control characters; ``colours`` keeps plain colour codes."""
    if colours:
        text = _ESCAPES.sub(lambda match: match[0] if _is_colour(match[0]) else "", text)
        return _CONTROL.sub(lambda match: match[0] if match[0] == "\x1b" else "", text)
    return _CONTROL.sub("", _ESCAPES.sub("", text))


def one_line(text: str) -> str:
    """Text from elsewhere on one line."""
    return " ".join(clean(text).split())


def _is_colour(sequence: str) -> bool:
    return sequence.startswith("\x1b[") and sequence.endswith("m")


def prepare_streams() -> None:
    """Never fail because a stream is closed, or a character cannot be shown: it is escaped."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for good
            setattr(sys, name, nowhere)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def silence_stdout() -> None:
    """After a reader has gone: let what is still buffered, and the exit, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def settle_stdout() -> None:
    """Write what is left; if that cannot be, forget it, or Python complains while it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        silence_stdout()
