"""schemathesis over every route of a real server: ``fuzz.py CASES``; no 5xx, nothing undocumented."""

from __future__ import annotations

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
_CONFIGURATION = """\
seed = 20261125
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
[checks.positive_data_acceptance]
enabled = false
[phases.stateful]
enabled = false
"""


def fuzz(place: Path, cases: int, phases: str) -> tuple[int, str, int]:
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
        (place / "schemathesis.toml").write_text(
            _CONFIGURATION.format(examples=max(1, cases // operations))
        )
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
            env=os.environ | {"HOME": str(place)},
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
        code, told, made = fuzz(Path(folder), int(sys.argv[1]), "examples,coverage,fuzzing")
    sys.stdout.write(f"{told}\ncases: {made}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
