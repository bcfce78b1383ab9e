"""The checks of a process: its own, and those that plug-ins bring by entry point."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from shipway.errors import ConfigurationError
from shipway.health.check import Finding, HealthCheck, Status

GROUP = "shipway.health_checks"
"""An entry point of this group names a HealthCheck, or a function that returns some."""

Detail = Callable[[], Any]


class Registry:
    """What is asked (checks), and what is told beside it to those who may see more (details).

    ``required`` names checks that readiness needs on this installation although it does not by
    default, such as ``redis:ping``.
    """

    def __init__(self, required: Iterable[str] = ()) -> None:
        self._required = frozenset(required)
        self._checks: dict[str, HealthCheck] = {}
        self.details: dict[str, Detail] = {}

    def add(self, *checks: HealthCheck) -> None:
        """Raises ConfigurationError when a name is taken: two answers to one question hide one."""
        for check in checks:
            if check.name in self._checks:
                raise ConfigurationError(
                    f"there are two health checks named {check.name}",
                    hint="rename the one that a plug-in brings",
                )
            chosen = check.required_for_ready or check.name in self._required
            self._checks[check.name] = replace(check, required_for_ready=chosen)

    def tell(self, name: str, detail: Detail) -> None:
        """Add a part to the detailed document; it must answer at once, from memory."""
        self.details[name] = detail

    def add_plugins(self) -> None:
        """Those of installed packages; one that cannot be loaded is a failing check, not a crash."""
        for point in entry_points(group=GROUP):
            self.add(*_loaded(point))

    def check_required(self) -> None:
        """Raises ConfigurationError for a required check that nobody brings."""
        missing = sorted(self._required - self._checks.keys())
        if missing:
            raise ConfigurationError(
                f"SHIPWAY_HEALTH_REQUIRED names checks that this process does not have: "
                f"{', '.join(missing)}",
                hint=f"there are {', '.join(sorted(self._checks))}",
            )

    def __iter__(self) -> Iterator[HealthCheck]:
        return iter(self._checks.values())

    def __len__(self) -> int:
        return len(self._checks)


def _loaded(point: EntryPoint) -> Iterable[HealthCheck]:
    try:
        found = point.load()
        brought = found if isinstance(found, HealthCheck) else found()
        checks = [brought] if isinstance(brought, HealthCheck) else list(brought)
        if not all(isinstance(check, HealthCheck) for check in checks):
            raise TypeError("it brings no health checks")
    except Exception as error:  # noqa: BLE001 - somebody else's code; we still have to serve
        return [_broken(point.name, f"the plug-in cannot be loaded: {type(error).__name__}")]
    return checks


def _broken(name: str, output: str) -> HealthCheck:
    return HealthCheck(
        name=f"plugin:{name}",
        probe=lambda: Finding(Status.FAIL, output),
        component_type="component",
        required_for_ready=False,
        reason="a broken plug-in of ours does not keep others from working",
        remedy="repair or uninstall the package that brings it",
    )
