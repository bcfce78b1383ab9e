"""A strict fence, and a way to run a piece of Python as an ordinary user when we are root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shipway.workspace.fence import Fence

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534

# As root in a mount namespace of its own: opens the way to Python and to this checkout for
# everybody, then becomes nobody and runs the script.
_BECOME = """
import os, sys
from pathlib import Path
from shipway.workspace import surroundings
from shipway.workspace.inside import kernel
uid, script, *needed = int(sys.argv[1]), sys.argv[2], *sys.argv[3:]
trees = {Path(name): kernel.copy_tree(Path(name)) for name in needed}
for closed in {one for path in trees for one in surroundings._closed_to(path, uid)}:
    kernel.mount("tmpfs", closed, "mode=755")
for path, tree in trees.items():
    path.mkdir(parents=True, exist_ok=True)
    kernel.attach(tree, path)
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
os.chdir(os.environ["HOME"])
os.execv(sys.executable, [sys.executable, "-c", script])
"""


@pytest.fixture
def fence() -> Fence:
    return Fence("strict")


@pytest.fixture
def public_tmp() -> Iterator[Path]:
    """A directory that an ordinary user can reach, unlike pytest's own when we are root."""
    path = Path(tempfile.mkdtemp(prefix="shipway-test-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def as_ordinary_user(public_tmp: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs Python code as an ordinary user: as nobody when we are root, else as ourselves."""

    def run(script: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "PYTHONPATH": str(ROOT / "src"),
            "HOME": str(public_tmp),
            "TMPDIR": str(public_tmp),
        }
        argv = [sys.executable, "-c", script]
        if os.geteuid() == 0:
            needed = (sys.base_prefix, sys.prefix, str(ROOT), str(public_tmp))
            argv = ["unshare", "--mount", "--propagation", "private", "--", sys.executable]
            argv += ["-c", _BECOME, str(NOBODY), script, *needed]
        return subprocess.run(
            argv, env=environment, capture_output=True, text=True, timeout=90, check=False
        )

    return run
