"""Makes what came back from a backup fit its new place: nothing of it runs, and paths are right."""

from __future__ import annotations

from pathlib import Path

from shipway.release import environment
from shipway.release.ledger import Ledger, ServiceLedger
from shipway.release.record import Status

_RAN = frozenset({Status.STARTING, Status.LIVE, Status.STANDBY})
_WHY = "restored from a backup"


def settle(home: Path, before: Path) -> list[str]:
    """Every service is stopped until somebody asks for it; returns their names.

    The one that was backed up may still run, with this port. ``before``: where the state was then.
    """
    home = home.absolute()
    services = Ledger(home).services()
    for at in services:
        at.create()
        at.change_state(stopped=True, reason=_WHY)
        for own in at.environments.iterdir():
            environment.readdress(own / "bin", before / own.relative_to(home), own)
        for release in at.all():
            _settle(at, release.id, home, before)
    return [at.service for at in services]


def _settle(at: ServiceLedger, identity: str, home: Path, before: Path) -> None:
    release = at.get(identity)
    python = Path(release.python)
    if release.python and python.is_relative_to(before):
        release = at.change(identity, python=str(home / python.relative_to(before)))
    if release.status in _RAN:
        at.change(identity, status=Status.STOPPED, pid=None, reason=_WHY)
