"""Plans, rendered projects, and a running service that was made from the library's document."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rendered_service import DOCUMENTS, Service, plan_of

from shipway.agents.scaffold import PROGRAM, TEMPLATE
from shipway.agents.scaffolding.view import view
from shipway.workspace.environments import Environment, Environments
from shipway.workspace.fence import Fence


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The rendered project of a document, rendered once."""
    made: dict[str, Path] = {}

    def render(name: str) -> Path:
        if name not in made:
            place = tmp_path_factory.mktemp(name)
            made[name] = place / "project"
            document = f"openapi{DOCUMENTS[name].suffix}"
            order = place / "order.json"
            data = view(plan_of(name), document)
            given = {"template": str(TEMPLATE), "destination": str(made[name]), "data": data}
            order.write_text(json.dumps(given))
            subprocess.run([sys.executable, "-I", str(PROGRAM), str(order)], check=True)
            shutil.copy(DOCUMENTS[name], made[name] / document)
        return made[name]

    return render


@pytest.fixture(scope="session")
def environment(project: Callable[[str], Path]) -> Environment:
    """What every rendered project without JSON Schema needs, shared with the gates' cache."""
    root = project("library")
    cache = Path(os.environ["SHIPWAY_CACHE"])
    environments = Environments(cache, Fence("degraded"), Path(sys.executable))
    return environments.build([root / "requirements.txt", root / "requirements-dev.txt"])


def running(root: Path, python: Path, state: Path) -> Iterator[Service]:
    settings = {"LENDING_LIBRARY_LIBRARY_KEY": "other,sesame"}
    service = Service(root, "lending_library", python, state, settings)
    service.start()
    yield service
    service.stop()


@pytest.fixture
def library(
    project: Callable[[str], Path], environment: Environment, tmp_path: Path
) -> Iterator[Service]:
    """The lending library, running, empty, with two library keys; tests may stop it."""
    yield from running(project("library"), environment.python, tmp_path / "state")


@pytest.fixture(scope="module")
def shared(
    project: Callable[[str], Path],
    environment: Environment,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """One library for tests that neither count all rows nor stop it."""
    state = tmp_path_factory.mktemp("shared")
    yield from running(project("library"), environment.python, state)
