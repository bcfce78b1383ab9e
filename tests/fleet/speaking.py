"""An engine or a worker as an older or newer installation would start it: it speaks up to one version.

``speaking.py engine|worker VERSION PAUSE LEDGER``; the worker's agent is called after its version.
"""

from __future__ import annotations

import sys
from typing import Any

from carrying import engine, serve, worker
from parcels import PARCELS, RequestOne, ResultOne, ResultThree
from teller import tell

from shipway.agents.agent import Desk
from shipway.agents.registry import Registry
from shipway.config import load_settings
from shipway.contracts.registry import Contract
from shipway.contracts.versions import Edition, History
from shipway.telemetry.logs import configure


def speaks(version: int) -> dict[str, Contract]:
    """What an installation of this version knows: nothing of what came later."""
    editions = [PARCELS.editions[one] for one in range(1, version + 1)]
    history = History("send", *(editions or [Edition(0, RequestOne, ResultOne)]))
    newest = history.editions[version]
    return {"send": Contract("send", version, newest.request, newest.result, versions=history)}


class Sender:
    """Says in its result what it was told, in the words of its version."""

    capability = "send"

    def __init__(self, version: int, pause: float, ledger: str) -> None:
        self.name = f"v{version}"
        self._version, self._pause, self._ledger = version, pause, ledger

    def perform(self, request: Any, desk: Desk) -> Any:
        tell(self._ledger, "begin", desk)
        desk.cancel.wait(self._pause)
        desk.confirm()
        tell(self._ledger, "effect", desk)
        said = request.model_dump()
        who = said.get("addressee") or said.get("recipient")
        parcel = f"{who}>{self.name}"
        return (
            ResultThree(parcel=parcel, weight_g=7)
            if self._version > 2
            else ResultOne(parcel=parcel)
        )


def main() -> None:
    kind, version, pause, ledger = sys.argv[1:]
    settings, known = load_settings(), speaks(int(version))
    configure("info", None)
    if kind == "engine":
        serve(settings, engine(settings, Registry([]), known))
    else:
        agents = Registry([Sender(int(version), float(pause), ledger)])
        serve(settings, worker(settings, agents, 4, known))


if __name__ == "__main__":
    main()
