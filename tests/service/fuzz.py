"""schemathesis over every route of a real server: ``fuzz.py CASES``; no 5xx, nothing undocumented."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from serving import serving

from shipway.config import load_settings
from shipway.gates.tools import tool_environment
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Fence

#: Streams do not end by themselves, and a fuzzer does not stop reading.
_LEFT_OUT = ("followEvents", "followRun")
#: What no schema can tell, by operation: a valid request that may be refused all the same, and why.
_REFUSED = {
    "submitRun": ([400, 422], "what a run needs depends on its kind, and on the repository"),
    "rewindRun": ([400, 422], "the same"),
    "upload": ([415, 422], "the name, the type and the content have to go together"),
    "listRuns": ([400], "a cursor is one that was given out"),
    "createFlag": ([400, 422], "what it serves has to be among its variants, of one kind"),
    "editFlag": ([412, 422, 428], "If-Match names the version; one variant or a split, not both"),
}
EVERYTHING = "examples,coverage,fuzzing,stateful"
_USUAL = ["2xx", "3xx", 401, 403, 404, 409, 429, "5xx"]
_CONFIGURATION = """\
seed = {seed}
continue-on-failure = true
request-timeout = 30.0
[cache]
enabled = false
[generation]
max-examples = {examples}
database = "none"
no-shrink = true
[checks]
enabled = true
"""
_EXPECTED = """\
[[operations]]
include-operation-id = "{operation}"
[operations.checks.positive_data_acceptance]
expected-statuses = {statuses}
"""
#: What a run leaves comes while it works: it is not there the moment the run is.
_LATER = """\
[[operations]]
include-operation-id = {operations}
[operations.checks.ensure_resource_availability]
enabled = false
"""
_LEFT = ["runEvidence", "runDiff", "runLogs", "readArtifact"]
#: A key that was made up twice would be refused the second time, as it should be.
_HOOKS = """\
import uuid, schemathesis

@schemathesis.hook
def before_call(ctx, case, kwargs):
    valid = case.meta is not None and case.meta.generation.mode.is_positive
    if valid and "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
"""


def configuration(examples: int, seed: int) -> str:
    parts = [
        _CONFIGURATION.format(seed=seed, examples=examples),
        _LATER.format(operations=json.dumps(_LEFT)),
    ]
    for operation, (more, why) in _REFUSED.items():
        statuses = json.dumps([str(one) for one in [*_USUAL, *more]])
        parts += [f"# {why}\n", _EXPECTED.format(operation=operation, statuses=statuses)]
    return "".join(parts)


def fuzz(place: Path, cases: int, phases: str, seed: int = 20261125) -> tuple[int, str, int]:
    """Exit code, what it said, and how many cases it made."""
    settings = load_settings()
    fence = Fence(settings.fence)
    tools = tool_environment(Environments(settings.cache, fence, settings.python))
    with serving(place / "home") as served:
        document = served.http.get("/openapi.json").json()
        operations = sum(
            operation["operationId"] not in _LEFT_OUT
            for methods in document["paths"].values()
            for operation in methods.values()
        )
        (place / "schemathesis.toml").write_text(configuration(max(1, cases // operations), seed))
        (place / "fuzz_hooks.py").write_text(_HOOKS)
        command = [
            str(tools.path / "bin" / "schemathesis"),
            "--config-file",
            str(place / "schemathesis.toml"),
            "--no-color",
            "run",
            "--phases",
            phases,
            f"{served.url}/openapi.json",
            "--header",
            f"Authorization: Bearer {served.token}",
        ]
        for name in _LEFT_OUT:
            command += ["--exclude-operation-id", name]
        done = subprocess.run(
            command,
            cwd=place,
            env=os.environ
            | {
                "HOME": str(place),
                "PYTHONPATH": str(place),
                "SCHEMATHESIS_HOOKS": "fuzz_hooks",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert served.process.poll() is None, "the server died"
        assert served.http.get("/health").status_code == 200
    told = done.stdout + done.stderr
    return done.returncode, told, _made(told)


def _made(told: str) -> int:
    found = re.search(r"([\d,]+) generated", told)
    return int(found[1].replace(",", "")) if found else 0


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        code, told, made = fuzz(
            Path(folder), int(sys.argv[1]), "examples,coverage,fuzzing,stateful"
        )
    sys.stdout.write(f"{told}\ncases: {made}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
