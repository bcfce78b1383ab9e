"""What the tests of releases ask of a deployed service, and how patient they are."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any

from shipway.release import processes
from shipway.release.record import Timing

QUICK = Timing(healthy_within=5, observe=0.1, probe_every=0.03, drain=8, stop=2, backoff=0.02)


def get(port: int | None, path: str = "/v") -> Any:
    """The JSON that the service answers now."""
    assert port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def eventually(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What ``condition`` says once it is true; fails when it is not in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


def is_gone(pid: int | None) -> bool:
    """Whether the process has ended, also when nobody has buried it yet."""
    assert pid
    return processes.start_time(pid) is None
