"""A worker with its own small health endpoint beside it, which watches the worker's loop from outside."""

from __future__ import annotations

from shipway import __version__
from shipway.engine.dispatch.fleet.worker import Worker
from shipway.errors import ConfigurationError
from shipway.health.check import Answer
from shipway.health.endpoint import Endpoint
from shipway.health.monitor import Monitor
from shipway.health.registry import Registry
from shipway.telemetry.metrics import CONTENT_TYPE, exposition


class Watched:
    """Starts and ends both; ``checks`` are what the endpoint asks, ``port`` 0 takes any that is free."""

    def __init__(self, worker: Worker, checks: Registry, port: int) -> None:
        self._worker = worker
        self._checks = checks
        self._port = port
        self._monitor: Monitor
        self._endpoint: Endpoint

    @property
    def address(self) -> str:
        """Where it is asked, once it has started."""
        return f"http://127.0.0.1:{self._endpoint.port}/health"

    def start(self) -> None:
        """Raises what keeps the worker from its fleet, and ConfigurationError when the port is taken."""
        self._worker.start()
        self._monitor = Monitor(self._checks, __version__, loop=self._worker.loop)
        self._endpoint = Endpoint(self._monitor, self._port, {"/metrics": _metrics})
        try:
            self._endpoint.start()
        except OSError:
            self._worker.stop(1.0)
            raise ConfigurationError(
                f"SHIPWAY_WORKER_HEALTH_PORT: port {self._port} is taken",
                hint="give each worker of a machine a port of its own, or 0 for any that is free",
            ) from None

    def drain(self, left: float) -> None:
        """From now on it is not ready, and what is in hand may end."""
        self._monitor.drain()
        self._worker.drain(left)

    def stop(self, left: float) -> None:
        """The endpoint answers until the worker has let go of everything."""
        self._worker.stop(left)
        self._endpoint.stop()


def _metrics() -> Answer:
    return Answer(200, exposition(), {"Content-Type": CONTENT_TYPE})
