"""Renders a template with Copier, as a program of its own: the engine's process never imports it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import copier


def main(order: Path, elsewhere: Path | None = None) -> None:
    """``order`` is a JSON file: template and destination are directories, data is for the template.

    ``elsewhere`` takes the place of its destination, for a person who renders it again.
    Nothing but files comes out: no tasks are run, no question is asked, nothing is fetched.
    """
    request = json.loads(order.read_text(encoding="utf-8"))
    copier.run_copy(
        request["template"],
        elsewhere or request["destination"],
        data=request["data"],
        defaults=True,
        overwrite=True,
        quiet=True,
        skip_tasks=True,
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
