"""The candidate as a running service: started in a fence, seen to be healthy, ended with all it began."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shipway.contracts.change_plan import ChangePlan
from shipway.contracts.service_file import ServiceFile
from shipway.contracts.service_plan import SecurityScheme, ServicePlan
from shipway.errors import Category, ConfigurationError
from shipway.gates.bench import Bench
from shipway.gates.carry import flows, script
from shipway.gates.look import Doubt, candidate_environment
from shipway.gates.parsers.reading import UnreadableReportError, load_json, mapping
from shipway.workspace.fence import Command, Finished, Limits, Running

HEALTHY_WITHIN_S = 60.0
SLICE_S = 2.0
SERVED = Limits(seconds=1800.0, memory_mb=2048, processes=128, output_mb=8)
DRIVEN = Limits(seconds=300.0, memory_mb=1024, processes=16)
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


class UnhealthyError(Exception):
    """The service ended or never answered: a fault of the candidate, with the end of its log."""


@dataclass(frozen=True, slots=True)
class Declared:
    """How the candidate says that it is started; ``given`` is what it wants set besides secrets."""

    start: tuple[str, ...]
    health: str
    document: str | None = None
    requirements: tuple[str, ...] | None = None
    given: dict[str, str] = field(default_factory=dict)


def declared(tree: Path, plan: ServicePlan | ChangePlan) -> Declared:
    """What the tree or the plan says; raises ConfigurationError when neither says anything."""
    if isinstance(plan, ChangePlan) and plan.service is not None:
        said = plan.service
        return Declared(tuple(said.start), said.health, said.document, given=dict(said.environment))
    path = tree / ServiceFile.PATH
    if path.is_symlink() or not path.is_file():
        raise ConfigurationError(
            f"the candidate has no {ServiceFile.PATH}",
            hint="it says how the service is started: start: [python, -m, package]",
        )
    found = ServiceFile.parse(path.read_bytes())
    wanted = None if found.requirements is None else tuple(found.requirements)
    return Declared(tuple(found.start), found.health, found.document, wanted)


def make_secrets(schemes: list[SecurityScheme]) -> dict[str, str]:
    """A secret of this attempt only for each setting; for basic a user and a password."""
    made: dict[str, str] = {}
    for scheme in schemes:
        word = secrets.token_urlsafe(24).replace("-", "a").replace("_", "b")
        user = "user:" if scheme.kind == "basic" else ""
        made.setdefault(scheme.setting, user + word)
    return made


class Service:
    """A started candidate; leaving it as a context manager ends it with everything it started."""

    def __init__(self, bench: Bench, said: Declared, place: Path, settings: dict[str, str]) -> None:
        self.bench = bench
        self.said = said
        self.settings = settings
        self.place = place
        self.data = place / "data"
        self.port = 0
        self.running: Running | None = None
        self.logs: list[bytes] = []
        for path in (self.data, place / "judge"):
            path.mkdir(parents=True, exist_ok=True)
        (place / "judge" / "flows.pyz").write_bytes(flows())
        self.start()

    def start(self) -> None:
        """Start it and wait for health; raises UnhealthyError, or Doubt when we could not look."""
        env = candidate_environment(self.bench)
        told = self.data / ".port"
        told.unlink(missing_ok=True)
        (self.data / "launch.py").write_bytes(script("launch.py"))
        argv = (str(env.python), "-I", str(self.data / "launch.py"), str(told), *self.said.start)
        self.running = self.bench.fence.start(
            Command(
                argv=argv,
                cwd=self.bench.tree,
                writable=(self.data,),
                env={
                    "PATH": f"{env.path / 'bin'}:{SYSTEM_PATH}",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    **self.said.given,
                    **self.settings,
                    "STATE_DIRECTORY": str(self.data),
                },
                limits=SERVED,
            )
        )
        try:
            self._await_health(told)
        except BaseException:
            self.stop()
            raise

    def _await_health(self, told: Path) -> None:
        until = time.monotonic() + HEALTHY_WITHIN_S
        said: dict[str, Any] = {"message": "it never listened"}
        while time.monotonic() < until:
            if self.bench.cancel.is_set():
                raise Doubt("it was cancelled", Category.CANCELLED)
            if not self.alive():
                raise UnhealthyError(f"the service ended before it was healthy:\n{self.tail()}")
            if not told.is_file():
                time.sleep(0.02)
                continue
            self.port = int(told.read_text(encoding="ascii"))
            asked = {"port": self.port, "health": self.said.health, "seconds": SLICE_S}
            said = self.ask("wait", asked)
            if said.get("healthy") is True:
                return
        answer = said.get("message")
        raise UnhealthyError(
            f"{self.said.health} was not healthy within {HEALTHY_WITHIN_S:.0f} s ({answer}):\n{self.tail()}"
        )

    def ask(self, what: str, asked: dict[str, Any]) -> dict[str, Any]:
        """What our own client, run beside the service, reports; raises Doubt when it says nothing."""
        finished, data = self.drive(what, asked)
        if finished.cancelled:
            raise Doubt("it was cancelled", Category.CANCELLED)
        if data is None:
            raise Doubt(f"our own client {finished.why()}: {finished.tail(5)}", Category.TRANSIENT)
        try:
            return mapping(load_json(data), "the report of our own client")
        except UnreadableReportError as error:
            raise Doubt(str(error), Category.TRANSIENT) from None

    def drive(self, what: str, asked: dict[str, Any]) -> tuple[Finished, bytes | None]:
        """Run our own client in the service's network; its report, if it wrote one."""
        judge = self.place / "judge"
        report = judge / f"{what}.json"
        report.unlink(missing_ok=True)
        finished = self.bench.run(
            [str(self.bench.tools.python), "-I", str(judge / "flows.pyz"), what, str(report)],
            writable=judge,
            cwd=judge,
            limits=DRIVEN,
            stdin=json.dumps(asked).encode(),
            join=self.running,
        )
        return finished, report.read_bytes() if finished.ok and report.is_file() else None

    def alive(self) -> bool:
        return self.running is not None and self.running.poll() is None

    def tail(self) -> str:
        """The end of what the service printed."""
        output = self.scrub(self.running.output()) if self.running else b""
        return "\n".join(output.decode("utf-8", "replace").splitlines()[-20:])

    def log(self) -> bytes:
        """All that it printed, in all its lives."""
        now = [self.running.output()] if self.running else []
        return self.scrub(b"".join([*self.logs, *now]))

    def scrub(self, data: bytes) -> bytes:
        """The data with the name of its variable in the place of each secret of ours."""
        for name, word in self.settings.items():
            for secret in {word, word.partition(":")[2] or word}:
                data = data.replace(secret.encode(), b"$" + name.encode())
        return data

    def stop(self) -> None:
        """End it, its children and its network."""
        running, self.running = self.running, None
        if running is not None:
            self.logs.append(running.stop().output)

    def restart(self) -> None:
        """The same data, a new process."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
