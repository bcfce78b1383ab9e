"""Grows a corpus: repositories with a history of features and fixes, and the manifest of their cases.

``python grow.py DIRECTORY`` writes the same commits every time; what is there already is kept.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from shapes import SHAPES, Files, Shape
from stories import STORIES, Story

HOUR = 3600
BEGINNING = 1_735_732_800
SECONDS = "60s"


def grow(
    root: Path, shapes: Iterable[str] = (), fixes: int = 3, first: int = 0
) -> Path:  # fmt: skip
    """Write repositories and ``corpus.yaml`` below ``root``; gives the manifest's path."""
    wanted = set(shapes)
    cases = []
    for number, shape in enumerate(SHAPES):
        if wanted and shape.name not in wanted:
            continue
        story = STORIES[number % len(STORIES)]
        commits = _repository(root / shape.name, shape, story)
        mended = list(zip(story.fixes, commits[1:], strict=True))[first : first + fixes]
        for fix, (base, gold) in mended:
            cases.append(
                {
                    "id": f"{shape.name}-{fix.name}", "repository": shape.name,
                    "base": base, "gold": gold, "claim": "fix", "seconds": SECONDS,
                }
            )  # fmt: skip
    manifest = root / "corpus.yaml"
    # JSON is YAML, and every reader writes it the same way.
    manifest.write_text(json.dumps({"version": 1, "cases": cases}, indent=1) + "\n", "utf-8")
    return manifest


def _repository(path: Path, shape: Shape, story: Story) -> list[tuple[str, str]]:
    """The commits of a repository as pairs of a base and what came next."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    clock = iter(range(BEGINNING, BEGINNING + 100 * HOUR, HOUR))
    _git(path, next(clock), "init", "--quiet", "--template=", "--initial-branch=main")
    suite = [("first", story.first)]
    source = story.source
    files: Files = {shape.source(story): source, **shape.around(story)}
    files[".gitignore"] = "__pycache__/\n*.egg-info/\n"
    if shape.policy:
        files[".shipway/policy.yaml"] = f"version: 1\n{shape.policy}"
    head = _commit(
        path, next(clock), {**files, **shape.suite(story, suite)}, f"Begin {story.module}"
    )
    words = _commit(
        path, next(clock), {"CONTRIBUTING.md": "Tests come with each change.\n"}, "Say how"
    )
    pairs = [(head, words)]
    for fix in story.fixes:
        assert source.count(fix.old) == 1, (story.module, fix.name)
        source = source.replace(fix.old, fix.new)
        suite.append((fix.name, fix.checks))
        changed: Files = {shape.source(story): source, **shape.suite(story, suite)}
        changed |= shape.beside(story, fix)
        before = pairs[-1][1]
        after = _commit(
            path, next(clock), changed, f"{fix.subject}\n\nIt was wrong since the beginning."
        )
        pairs.append((before, after))
    return pairs


def _commit(path: Path, when: int, files: Mapping[str, str], message: str) -> str:
    for name, text in files.items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    _git(path, when, "add", "--all")
    _git(path, when, "commit", "--quiet", "--message", message)
    return _git(path, when, "rev-parse", "HEAD")


def _git(path: Path, when: int, *words: str) -> str:
    """The user's own settings have no say: the same commits come out everywhere."""
    environment = {
        "PATH": os.environ["PATH"], "HOME": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull, "GIT_AUTHOR_DATE": f"{when} +0000",
        "GIT_COMMITTER_DATE": f"{when} +0000",
    }  # fmt: skip
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "Ada", f"GIT_{who}_EMAIL": "ada@example.org"}
    done = subprocess.run(
        ["git", "-c", "commit.gpgSign=false", *words],
        cwd=path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


if __name__ == "__main__":
    print(grow(Path(sys.argv[1])))  # noqa: T201 - what was asked for
