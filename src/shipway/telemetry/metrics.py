"""What Shipway counts and measures, declared once; every process tells its own at ``/metrics``.

Hot paths use children that are looked up once. Each label has few values by construction, or is
bounded here: what comes after the limit is counted as ``other``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The buckets of OpenTelemetry's semantic conventions for requests."""
_WORK_SECONDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_MOST_SERIES = 512
OTHER = "other"

REGISTRY = CollectorRegistry(auto_describe=True)

Metric = TypeVar("Metric", Counter, Gauge, Histogram)


class Family(Generic[Metric]):
    """A metric with labels whose children are kept: ``RUNS.of("change", "succeeded").inc()``."""

    def __init__(self, metric: Metric, *, limit: int = _MOST_SERIES) -> None:
        self.metric: Metric = metric
        self._limit = limit
        self._children: dict[tuple[str, ...], Metric] = {}

    def of(self, *values: str) -> Metric:
        """The child for these label values, in the order of the declaration."""
        child = self._children.get(values)
        if child is None:
            if len(self._children) >= self._limit:
                values = (OTHER,) * len(values)
            child = self._children[values] = self.metric.labels(*values)
        return child

    @property
    def children(self) -> Mapping[tuple[str, ...], Metric]:
        return self._children

    def keep_only(self, known: Mapping[tuple[str, ...], float]) -> None:
        """Set a gauge for each of these, and forget the others: what is gone is not zero for ever."""
        for values in self._children.keys() - known.keys():
            self.metric.remove(*values)
            del self._children[values]
        for values, value in known.items():
            child = self.of(*values)
            assert isinstance(child, Gauge)  # noqa: S101 - only a gauge can be set
            child.set(value)


def _counter(name: str, doc: str, *labels: str) -> Family[Counter]:
    return Family(Counter(name, doc, labels, registry=REGISTRY))


def _gauge(name: str, doc: str, *labels: str) -> Family[Gauge]:
    return Family(Gauge(name, doc, labels, registry=REGISTRY))


def _histogram(name: str, doc: str, buckets: Sequence[float], *labels: str) -> Family[Histogram]:
    return Family(Histogram(name, doc, labels, buckets=buckets, registry=REGISTRY))


# -- requests ---------------------------------------------------------------------------------

REQUESTS = _histogram(
    "http_server_request_duration_seconds",
    "Time to answer a request, by route template",
    SECONDS,
    "http_request_method",
    "http_route",
    "http_response_status_code",
)
ACTIVE_REQUESTS = Gauge(
    "http_server_active_requests", "Requests that are being served now", registry=REGISTRY
)
STREAMS = Gauge(
    "shipway_event_streams", "Readers of live events that are connected now", registry=REGISTRY
)
SHED = _counter("shipway_requests_shed_total", "Requests refused because of load", "reason")

# -- work -------------------------------------------------------------------------------------

RUNS = _gauge("shipway_runs", "Runs that are kept, by status", "status")
RUNS_SUBMITTED = _counter("shipway_runs_submitted_total", "Runs that were accepted", "pipeline")
RUNS_ENDED = _counter("shipway_runs_ended_total", "Runs that ended, by status", "status")
STAGES = _counter(
    "shipway_stages_total", "Stages that came to an end, by what came of them", "stage", "status"
)
ATTEMPTS = _counter(
    "shipway_attempts_total", "Attempts that ended, by what came of them", "stage", "outcome"
)
ATTEMPT_SECONDS = _histogram(
    "shipway_attempt_duration_seconds", "Time that an attempt took", _WORK_SECONDS, "stage"
)
QUEUE_DEPTH = Gauge("shipway_queue_depth_runs", "Runs that wait to begin", registry=REGISTRY)
QUEUE_AGE = Gauge(
    "shipway_queue_oldest_seconds", "Age of the run that waits longest to begin", registry=REGISTRY
)
OPEN_ORDERS = Gauge("shipway_open_orders", "Orders in hand, or on their way", registry=REGISTRY)
DEAD_LETTERS = Gauge("shipway_dead_letters", "Dead letters that are kept", registry=REGISTRY)
DEAD_LETTER_AGE = Gauge(
    "shipway_dead_letters_oldest_seconds", "Age of the oldest dead letter", registry=REGISTRY
)
WORKERS = Gauge("shipway_workers", "Workers with a fresh heartbeat", registry=REGISTRY)

# -- what holds it up -------------------------------------------------------------------------

BREAKERS = _gauge(
    "shipway_breaker_state", "1 for the state that a breaker is in", "breaker", "state"
)
POOL_CONNECTIONS = _gauge(
    "shipway_pool_connections", "Connections of a pool, in use and at most", "pool", "state"
)
POOL_WAITING = _gauge("shipway_pool_waiting", "Callers that wait for a connection", "pool")
RINGS = _counter(
    "shipway_rings_total",
    "Rings that Redis was given, or did not take while it was away",
    "outcome",
)
HEALTH = _gauge(
    "shipway_health_check_status", "0 pass, 1 warn, 2 fail of each health check", "check"
)
LOOP_LAG = Gauge(
    "shipway_event_loop_lag_seconds", "How late the event loop was last", registry=REGISTRY
)
EXPOSURES = _counter(
    "shipway_flag_exposures_total", "Who was shown which variant of a flag", "flag", "variant"
)
BUILD = _gauge("shipway_build_info", "1, with what runs here", "version", "revision")


def breaker_states() -> dict[str, str]:
    """The state of each breaker of this process, by its name."""
    children = dict(BREAKERS.children)
    return {name: state for (name, state), child in children.items() if child._value.get() == 1}  # noqa: SLF001 - the library's own number


def exposition() -> bytes:
    """Everything as the text format of Prometheus (``CONTENT_TYPE``)."""
    return generate_latest(REGISTRY)


def catalogue() -> list[dict[str, Any]]:
    """Name, type, labels and meaning of every metric, for the documentation."""
    rows = []
    for found in globals().values():
        metric = found.metric if isinstance(found, Family) else found
        if isinstance(metric, Counter | Gauge | Histogram):
            (described,) = metric.describe()
            total = "_total" if described.type == "counter" else ""
            rows.append(
                {
                    "name": f"{described.name}{total}",
                    "type": described.type,
                    "labels": list(metric._labelnames),  # noqa: SLF001 - the library has no other way
                    "meaning": described.documentation,
                }
            )
    return rows
