"""Documents with their plans, and a rendered service in a process of its own, reached by HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shipway import specs
from shipway.agents.planning.service import plan_service
from shipway.contracts.service_plan import ServicePlan

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = {
    "library": ROOT / "examples" / "library.openapi.yaml",
    "hostile": Path(__file__).parent / "hostile.openapi.yaml",
    "long": Path(__file__).parent / "long.openapi.yaml",
    "ping": Path(__file__).parent / "ping.openapi.yaml",
    "countries": ROOT / "tests" / "documents" / "countries.openapi.yaml",
    "inventory": ROOT / "tests" / "documents" / "inventory.openapi.json",
    "projects": ROOT / "tests" / "documents" / "projects.openapi.yaml",
}
READY_WITHIN_S = 30


def plan_of(name: str) -> ServicePlan:
    path = DOCUMENTS[name]
    return plan_service(specs.read(path.read_bytes(), path.name), {}).plan


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Service:
    """The rendered service in a process of its own, reached by HTTP only."""

    root: Path
    package: str
    python: Path
    state: Path
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    def start(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [self.python, "-m", self.package, "--port", str(self.port)],
            cwd=self.root,
            env={"PATH": os.defpath, "STATE_DIRECTORY": str(self.state), **self.settings},
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if self.call("GET", "/healthz").status == 200:
                    return
            time.sleep(0.02)
        raise AssertionError("the service never became healthy")

    def wait_until_deaf(self) -> None:
        """Until nobody listens on the port any more."""
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except ConnectionError:
                return
            time.sleep(0.02)
        raise AssertionError("the service still listens")

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(READY_WITHIN_S)

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {"Content-Type": "application/json"} if data is not None else {}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=data,
            headers=given | (headers or {}),
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())
