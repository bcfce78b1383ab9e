"""Compiles files and imports packages of a candidate, each import in a process of its own.

A script, not a module: it is started as ``python -I importing.py REPORT WORD TREE LAYOUT PACKAGES
FILES...`` inside the fence by the candidate's Python, so it imports the standard library only.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PATIENCE = 60.0
IMPORT = "import sys; sys.path[:0] = sys.argv[2:]; __import__(sys.argv[1])"


def compiled(tree: Path, name: str) -> dict[str, Any] | None:
    """What is wrong with a file's syntax, if anything."""
    try:
        source = (tree / name).read_bytes()
        compile(source, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        return {"kind": "compile", "name": name, "why": error.msg, "line": error.lineno}
    except (ValueError, RecursionError, MemoryError) as error:
        return {"kind": "compile", "name": name, "why": str(error), "line": None}
    return None


def imported(paths: list[str], name: str, word: str) -> dict[str, Any] | None:
    """Why a package cannot be imported, if it cannot; an exit in the middle is no success."""
    code = f"{IMPORT}; print({word!r})"
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", code, name, *paths],
            capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"kind": "import", "name": name, "why": f"it took longer than {PATIENCE:.0f} s"}
    if done.returncode == 0 and done.stdout.rstrip().endswith(word):
        return None
    sys.stdout.write(done.stdout + done.stderr)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return {
        "kind": "import",
        "name": name,
        "why": lines[-1] if lines else f"the process ended early with exit code {done.returncode}",
    }


def main(arguments: list[str]) -> None:
    report, word, tree, layout, packages, *files = arguments
    root = Path(tree)
    paths = [str(root / "src"), tree] if layout == "src" else [tree]
    seen = [compiled(root, name) for name in files]
    seen += [imported(paths, name, word) for name in packages.split(",") if name]
    told = {
        "python": sys.version.split()[0],
        "bad": [one for one in seen if one is not None],
    }
    Path(report).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
