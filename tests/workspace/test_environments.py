"""Environments, built by the real venv and pip from wheels that the test makes itself."""

from __future__ import annotations

import base64
import hashlib
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
