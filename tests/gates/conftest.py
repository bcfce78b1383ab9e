"""What tests of gates share: a real fence, environments from the shared cache, a hub to take trees from."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from comparing import Maker

from shipway.contracts.model import ArtifactRef
from shipway.gates.panel import Panel
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Fence
from shipway.workspace.git import Capture, Hub


class Shelf:
    """Artifacts in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, data: bytes, name: str, media_type: str) -> ArtifactRef:
        sha256 = hashlib.sha256(data).hexdigest()
        self.kept[sha256] = data
        return ArtifactRef(name=name, sha256=sha256, size=len(data), media_type=media_type)

    def read(self, ref: ArtifactRef) -> bytes:
        return self.kept[ref.sha256]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture(scope="session")
def fence() -> Fence:
    return Fence("strict")


@pytest.fixture(scope="session")
def environments(fence: Fence) -> Environments:
    return Environments(Path(os.environ["SHIPWAY_CACHE"]), fence, Path(sys.executable))


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub.create(tmp_path / "hub.git")


@pytest.fixture
def commit(hub: Hub, tmp_path: Path) -> Callable[..., Capture]:
    """Builds commits: ``commit({"a.py": "..."})``, on top of another with ``on=``; None removes."""
    count = 0

    def make(files: Mapping[str, str | None], on: Capture | None = None) -> Capture:
        nonlocal count
        count += 1
        space = hub.checkout(on.commit if on else None, tmp_path / "spaces" / str(count))
        for name, content in files.items():
            path = space.path / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return hub.capture(space, f"change {count}", on.commit if on else None)

    return make


@pytest.fixture
def panel(
    hub: Hub, fence: Fence, environments: Environments, shelf: Shelf, tmp_path: Path
) -> Callable[..., Panel]:
    count = 0

    def make(**given: object) -> Panel:
        nonlocal count
        count += 1
        work = tmp_path / "panels" / str(count)
        work.mkdir(parents=True)
        fields = {
            "hub": hub, "fence": fence, "environments": environments, "shelf": shelf, "work": work,
            "cancel": threading.Event(), "say": lambda _line: None,
        }  # fmt: skip
        return Panel(**(fields | given))

    return make


@pytest.fixture
def compare(hub, fence, environments, shelf, tmp_path, commit) -> Maker:
    """Two small trees side by side, as `shipway check` has them."""
    return Maker(hub, fence, environments, shelf, tmp_path / "compared", commit)
