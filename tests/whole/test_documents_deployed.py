"""Documents in other styles: each deployed, and judged from outside (`make documents`)."""

from __future__ import annotations

import base64
import json
import subprocess
import tomllib
from pathlib import Path

import pytest
from people import ROOT, Person

from shipway.config import load_settings
from shipway.contracts.model import ArtifactRef
from shipway.contracts.service_plan import SecurityScheme, ServicePlan
from shipway.gates.tools import tool_environment
from shipway.release.secrets_file import read as read_secrets
from shipway.specs import overlaid
from shipway.specs import read as read_document
from shipway.store.artifacts import ArtifactStore
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Fence

DOCUMENTS = sorted((ROOT / "tests" / "documents").glob("*.openapi.*"))
"""Three of ours, differing in version, style of ids, pages, errors and security."""


def header(scheme: SecurityScheme, secret: str) -> str:
    match scheme.kind:
        case "basic":
            return f"Authorization: Basic {base64.b64encode(secret.encode()).decode()}"
        case "bearer":
            return f"Authorization: Bearer {secret}"
        case _:
            assert scheme.location == "header"
            return f"{scheme.name}: {secret}"


@pytest.mark.documents
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name.split(".")[0])
def test_a_deployed_service_keeps_its_document(person: Person, path: Path, tmp_path: Path) -> None:
    done = person.run("run", "--spec", str(path), "--into", str(tmp_path / "made"), timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    result = person.stage("plan")["result"]
    store = ArtifactStore(person.home / "artifacts")
    plan = ServicePlan.model_validate_json(store.read(ArtifactRef(**result["plan"])))
    assert not plan.unimplemented

    judged = tmp_path / "document.json"
    document = read_document(path)
    judged.write_text(json.dumps(overlaid(dict(document.data), plan.overlay)))
    release = json.loads(person.run("release", "list", "--json").stdout)[0]
    secrets = read_secrets(person.home / "services" / plan.name / "secrets.env")
    settings = load_settings(home=person.home)
    built = Environments(settings.cache, Fence(settings.fence), settings.python)
    words = [
        str(tool_environment(built).bin("schemathesis")),
        *("run", str(judged), "--url", f"{release['url']}{plan.prefix}"),
        *("--checks", "all", "--seed", "7", "--max-examples", "20", "--no-color"),
    ]
    for scheme in plan.security_schemes:
        words += ["--header", header(scheme, secrets[scheme.setting].split(",")[0])]
    outside = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert outside.returncode == 0, outside.stdout[-4000:]


def test_the_target_runs_them_all() -> None:
    assert len(DOCUMENTS) == 3
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert "not documents" in settings["addopts"]
    assert "-m documents" in (ROOT / "Makefile").read_text()
