"""Environments, built by the real venv and pip from wheels that the test makes itself."""

from __future__ import annotations

import base64
import hashlib
import http.server
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import pytest

from shipway.errors import CommandError, RepositoryError, UnimplementedError
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Command, Fence

ROOT = Path(__file__).resolve().parents[2]


def wheel(place: Path, name: str, body: str) -> str:
    """Write a wheel with one module; returns its sha256."""
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": body,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\nsay-{name} = {name}:main\n",
    }
    record = ""
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in files.items():
            archive.writestr(inner, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
            record += f"{inner},sha256={digest.decode()},{len(text)}\n"
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of wheels that pip is told of, and nothing else: no network is needed."""
    place = tmp_path / "some wheels"
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "person"
    (home / ".config" / "pip").mkdir(parents=True)
    link = str(place).replace(" ", "%20")
    conf = f"[global]\nno-index = true\nfind-links = file://{link}\n"
    (home / ".config" / "pip" / "pip.conf").write_text(conf)
    monkeypatch.setenv("HOME", str(home))
    return place


@pytest.fixture
def environments(tmp_path: Path, fence: Fence) -> Environments:
    return Environments(tmp_path / "cache", fence, Path(sys.executable))


def requirement(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / "project" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def run_in(fence: Fence, argv: list[str], desk: Path) -> str:
    desk.mkdir(exist_ok=True)
    done = fence.run(Command(tuple(argv), desk, writable=(desk,)))
    return done.output.decode().strip()


def test_it_is_built_once_and_used_in_a_fence(
    environments: Environments, wheels: Path, tmp_path: Path, fence: Fence
) -> None:
    wheel(wheels, "hello", "def main():\n    print('hello from the wheel')\n")
    asked = requirement(tmp_path, "requirements.txt", "hello==1.0  # friendly\n")
    lines: list[str] = []
    built = environments.build([asked], say=lines.append)
    assert lines[0] == "creating a Python environment"
    assert "fetching hello-1.0-py3-none-any.whl" in lines
    desk = tmp_path / "desk"
    assert run_in(fence, [str(built.bin("say-hello"))], desk) == "hello from the wheel"
    write = f"open({str(built.path / 'x')!r}, 'w')"
    assert "Read-only file system" in run_in(fence, [str(built.python), "-c", write], desk)
    again: list[str] = []
    assert environments.build([asked], say=again.append) == built
    assert again == []
    assert list(built.path.glob("**/pip.conf")) == []


def test_hashes_are_required_where_there_are_some(
    environments: Environments, wheels: Path, tmp_path: Path
) -> None:
    good = wheel(wheels, "hello", "x = 1\n")
    wheel(wheels, "other", "x = 1\n")
    right = requirement(tmp_path, "right.txt", f"hello==1.0 \\\n    --hash=sha256:{good}\n")
    plain = requirement(tmp_path, "plain.txt", "other\n")
    built = environments.build([right, plain])
    assert sorted(path.name for path in built.path.glob("lib/*/site-packages/*.py")) == [
        "hello.py",
        "other.py",
    ]
    wrong = requirement(tmp_path, "wrong.txt", f"hello==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(CommandError, match="cannot be built") as caught:
        environments.build([wrong])
    assert "DO NOT MATCH THE HASHES" in caught.value.details["log_tail"]


def test_what_cannot_be_found_is_named(
    environments: Environments, wheels: Path, tmp_path: Path
) -> None:
    wheels.mkdir()
    asked = requirement(tmp_path, "requirements.txt", "no-such-package==9\n")
    with pytest.raises(CommandError, match="no-such-package") as caught:
        environments.build([asked])
    assert "pip install" in str(caught.value.hint)
    assert "ERROR" in caught.value.details["log_tail"]


def test_included_files_count_and_may_not_lie_outside(
    environments: Environments, wheels: Path, tmp_path: Path
) -> None:
    wheel(wheels, "hello", "x = 1\n")
    requirement(tmp_path, "base.txt", "hello\n")
    asked = requirement(tmp_path, "dev.txt", "-r base.txt\n-c limits.txt\n")
    requirement(tmp_path, "limits.txt", "hello<2\n")
    built = environments.build([asked])
    assert list(built.path.glob("lib/*/site-packages/hello.py"))
    requirement(tmp_path, "base.txt", "")
    assert environments.build([asked]).digest != built.digest
    (tmp_path / "secret.txt").write_text("password\n")
    outside = requirement(tmp_path, "outside.txt", "-r ../secret.txt\n")
    with pytest.raises(RepositoryError, match="outside the repository"):
        environments.build([outside])
    (tmp_path / "project" / "link.txt").symlink_to(tmp_path / "secret.txt")
    linked = requirement(tmp_path, "linked.txt", "-r link.txt\n")
    with pytest.raises(RepositoryError, match="outside the repository"):
        environments.build([linked])


@pytest.mark.parametrize("line", ["-e .", "./lib", "lib @ file:///lib", "../lib", "--editable=x"])
def test_local_paths_are_refused(environments: Environments, tmp_path: Path, line: str) -> None:
    asked = requirement(tmp_path, "requirements.txt", f"{line}\n")
    with pytest.raises(UnimplementedError, match="local path"):
        environments.build([asked])


BUILD = """
import sys
from pathlib import Path
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Fence
cache, asked = Path(sys.argv[1]), Path(sys.argv[2])
environments = Environments(cache, Fence("strict"), Path(sys.executable))
print(environments.build([asked], say=lambda line: print(line, flush=True)).path, flush=True)
"""


def build_elsewhere(cache: Path, asked: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(BUILD), str(cache), str(asked)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_build_that_was_killed_is_done_again(
    environments: Environments, wheels: Path, tmp_path: Path
) -> None:
    wheel(wheels, "hello", "x = 1\n")
    asked = requirement(tmp_path, "requirements.txt", "hello\n")
    with build_elsewhere(tmp_path / "cache", asked) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "creating a Python environment\n"
        deadline = time.monotonic() + 20
        while not list(tmp_path.glob("cache/environments/*/bin")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    lines: list[str] = []
    built = environments.build([asked], say=lines.append)
    assert lines[0] == "creating a Python environment"
    assert list(built.path.glob("lib/*/site-packages/hello.py"))
    assert sorted(path.suffix for path in (tmp_path / "cache" / "environments").iterdir()) == [
        "",
        ".lock",
        ".ready",
    ]


def test_two_processes_build_it_once(wheels: Path, tmp_path: Path) -> None:
    wheel(wheels, "hello", "x = 1\n")
    asked = requirement(tmp_path, "requirements.txt", "hello\n")
    processes = [build_elsewhere(tmp_path / "cache", asked) for _ in range(2)]
    said = [process.communicate(timeout=90)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert said[0][-1] == said[1][-1]
    first = sorted(lines[0] for lines in said)
    assert first[0] == "creating a Python environment"
    assert first[1] in {"waiting for another run that builds the same environment", said[0][-1]}


def test_a_cancelled_build_says_so_and_is_not_taken_for_finished(
    environments: Environments, wheels: Path, tmp_path: Path
) -> None:
    wheel(wheels, "hello", "x = 1\n")
    asked = requirement(tmp_path, "requirements.txt", "hello\n")
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CommandError, match="cancelled"):
        environments.build([asked], cancel=cancel)
    assert list(environments.build([asked]).path.glob("lib/*/site-packages/hello.py"))


def test_an_index_that_does_not_answer_at_first_is_asked_again(
    environments: Environments, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two refusals, then the packages: an installation may be begun again."""
    place = tmp_path / "served"
    wheel(place, "late", "def main(): print('here')\n")
    asked: list[str] = []

    class Index(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            wheels_asked = sum(one.endswith(".whl") for one in asked)
            if self.path.endswith(".whl") and wheels_asked < 3:
                self.send_error(503)
                return
            file = place / "late-1.0-py3-none-any.whl"
            body = file.read_bytes() if self.path.endswith(".whl") else (
                f"<a href='/{file.name}'>{file.name}</a>".encode()
            )  # fmt: skip
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("late==1.0\n")
    try:
        built = environments.build([requirements])
    finally:
        server.shutdown()
        server.server_close()
    assert built.bin("say-late").exists()
    assert len([one for one in asked if one.endswith(".whl")]) == 3
