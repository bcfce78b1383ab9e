"""Health of a serving process: from memory, in time, without flapping, and closed when unknown."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace

import pytest

from shipway.errors import ConfigurationError
from shipway.health import probing, pulse, registry, standard
from shipway.health.check import Finding, HealthCheck, Status
from shipway.health.endpoint import Endpoint
from shipway.health.monitor import Monitor
from shipway.health.registry import Registry
from shipway.resilience.breaker import Breaker, BreakerPolicy
from shipway.resilience.ports import _measured
from shipway.telemetry.metrics import BREAKERS, breaker_states, exposition


class Patient:
    """Something whose health the test decides."""

    def __init__(self, name="patient:ping", *, required=True, hangs=False):
        self.finding: Finding | Exception = Finding()
        self.released = threading.Event()
        self.hangs = hangs
        self.asked = 0
        self.check = HealthCheck(
            name=name,
            probe=self.probe,
            component_type="component",
            required_for_ready=required,
            reason="the test says so",
            remedy="let it recover",
            timeout=0.1,
            every=0.02,
        )

    def probe(self) -> Finding:
        self.asked += 1
        if self.hangs:
            self.released.wait(20)
        if isinstance(self.finding, Exception):
            raise self.finding
        return self.finding


def watched(*patients, details=None, required=()):
    checks = Registry(required)
    checks.add(*(patient.check for patient in patients))
    for name, tell in (details or {}).items():
        checks.tell(name, tell)
    return Monitor(checks, "1.2.3")


@pytest.fixture
def watch():
    """Monitors that ask in the background until the test is over."""
    started, asked = [], []

    def begin(*patients, **given):
        monitor = watched(*patients, **given)
        monitor.start()
        started.append(monitor)
        asked.extend(patients)
        return monitor

    yield begin
    for patient in asked:
        patient.released.set()
    for monitor in started:
        monitor.stop()


def until(condition, what, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.005)


def body(answer):
    return json.loads(answer.body)


def test_before_anything_was_asked_it_is_alive_and_not_ready():
    monitor = watched(Patient())
    assert (monitor.live().status_code, body(monitor.live())) == (200, {"status": "pass"})
    ready = monitor.ready()
    assert ready.status_code == 503
    assert ready.headers["Content-Type"] == "application/health+json"
    assert ready.headers["Cache-Control"] == "no-store"
    assert int(ready.headers["Retry-After"]) > 0


def test_ready_follows_what_is_required(watch):
    patient = Patient()
    monitor = watch(patient)
    until(lambda: monitor.ready().status_code == 200, "ready")
    patient.finding = ConnectionRefusedError("no route to hunter2")
    until(lambda: monitor.ready().status_code == 503, "not ready")
    assert body(monitor.ready())["checks"]["patient:ping"] == [{"status": "fail"}]
    assert b"hunter2" not in monitor.ready().body
    assert monitor.live().status_code == 200
    patient.finding = Finding()
    until(lambda: monitor.ready().status_code == 200, "ready again")


def test_what_is_not_required_only_warns_unless_the_installation_says_so(watch):
    patient = Patient("redis:ping", required=False)
    patient.finding = ConnectionRefusedError("nobody listens")
    lenient, strict = watch(patient), watch(patient, required=["redis:ping"])
    until(lambda: lenient.ready().status is Status.WARN, "a warning")
    assert lenient.ready().status_code == 200
    assert body(lenient.detailed())["checks"]["redis:ping"][0]["status"] == "fail"
    until(lambda: strict.detailed().status is Status.FAIL, "a failure")
    assert strict.ready().status_code == 503


def test_one_bad_answer_is_confirmed_before_it_counts_and_one_good_one_heals():
    patient = Patient()
    prober = probing.Prober(patient.check)

    async def see(finding):
        patient.finding = finding
        standing = await prober.ask()
        return standing.status, standing.worse

    async def story():
        assert await see(Finding()) == (Status.PASS, 0)
        since = prober.standing.since
        assert await see(Finding(Status.FAIL, "first")) == (Status.PASS, 1)
        assert prober.standing.seen.output == "first"
        assert await see(Finding()) == (Status.PASS, 0)
        assert await see(Finding(Status.WARN)) == (Status.PASS, 1)
        assert await see(Finding(Status.FAIL)) == (Status.FAIL, 0)
        assert prober.standing.since >= since
        assert await see(Finding(Status.WARN)) == (Status.WARN, 0)
        assert await see(Finding()) == (Status.PASS, 0)

    asyncio.run(story())


def test_the_first_answer_counts_at_once():
    patient = Patient()
    patient.finding = Finding(Status.FAIL)
    assert asyncio.run(probing.Prober(patient.check).ask()).status is Status.FAIL


def test_a_check_that_hangs_fails_in_time_is_asked_once_and_costs_one_thread(watch):
    patient = Patient("hanging:ping", hangs=True)
    monitor = watch(patient)
    until(lambda: "no answer for" in _output(monitor, "hanging:ping"), "it to hang")
    threads = [one for one in threading.enumerate() if one.name == "health hanging:ping"]
    assert (patient.asked, len(threads)) == (1, 1)
    assert monitor.ready().status_code == 503
    patient.hangs = False
    patient.released.set()
    until(lambda: monitor.ready().status_code == 200, "recovery")


def test_a_plain_check_is_always_asked_in_the_same_thread(watch):
    asked = []

    def probe():
        asked.append(threading.get_ident())
        return Finding()

    patient = Patient()
    patient.check = replace(patient.check, probe=probe)
    watch(patient)
    until(lambda: len(asked) > 5, "answers")
    assert len(set(asked)) == 1, "connections belong to a thread: a new one each time leaks them"


def test_a_coroutine_that_does_not_listen_to_its_cancellation_is_not_waited_for():
    asked = 0
    let_go = asyncio.Event()

    async def deaf() -> Finding:
        nonlocal asked
        asked += 1
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        return Finding()

    async def story():
        prober = probing.Prober(replace(Patient().check, probe=deaf, timeout=0.01))
        assert (await prober.ask()).seen.output == "no answer within 0.01 s"
        assert "no answer for" in (await prober.ask()).seen.output
        assert asked == 1
        let_go.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (await prober.ask()).status is Status.PASS

    asyncio.run(story())


def test_what_was_not_asked_for_three_seconds_is_a_failure(monkeypatch):
    monitor = watched(Patient())
    asyncio.run(monitor.once())
    assert monitor.ready().status_code == 200
    later = time.monotonic() + probing.STALE_AFTER + 0.1
    monkeypatch.setattr("shipway.health.monitor.time.monotonic", lambda: later)
    assert monitor.ready().status_code == 503
    assert "not asked for 3." in _output(monitor, "patient:ping")


def test_draining_is_not_ready_at_once_and_still_alive():
    monitor = watched(Patient())
    asyncio.run(monitor.once())
    assert monitor.ready().status_code == 200
    monitor.drain()
    assert monitor.ready().status_code == 503
    assert body(monitor.ready())["output"] == "draining"
    assert body(monitor.detailed())["draining_since"].endswith("Z")
    assert monitor.live().status_code == 200


def test_the_detailed_document_tells_latency_since_when_and_the_parts_of_others():
    patient = Patient()
    patient.finding = Finding(Status.WARN, "token=hunter2hunter2 is slow\nindeed", 1.8, "ms")
    monitor = watched(patient, details={"queue": lambda: {"depth": 3}, "broken": lambda: 1 / 0})
    asyncio.run(monitor.once())
    told = body(monitor.detailed())
    assert (told["status"], told["releaseId"], told["version"]) == ("warn", "1.2.3", "1")
    assert told["queue"] == {"depth": 3}
    assert told["broken"] == {"error": "ZeroDivisionError"}
    (check,) = told["checks"]["patient:ping"]
    assert check["status"] == "warn"
    assert (check["observedValue"], check["observedUnit"]) == (1.8, "ms")
    assert check["output"] == "token=[masked] is slow indeed"
    assert check["remedy"] == "let it recover"
    assert check["required_for_ready"] is True
    assert {"since", "time", "latency_ms", "componentType"} <= check.keys()
    assert told["checks"]["process:event_loop"][0]["status"] == "pass"


def test_a_loop_that_stands_still_is_dead_for_those_who_look_from_outside(monkeypatch):
    monkeypatch.setattr(pulse, "DEAD_AFTER", 0.3)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    monitor = Monitor(Registry(), "1", loop=loop)
    monitor.start()
    held, let_go = threading.Event(), threading.Event()

    def block():
        held.set()
        let_go.wait(20)

    try:
        until(lambda: monitor.live().status_code == 200, "a beat")
        loop.call_soon_threadsafe(block)
        assert held.wait(5)
        until(lambda: monitor.live().status_code == 503, "death")
        until(lambda: "held up for" in _output(monitor, "process:event_loop"), "the reason")
        let_go.set()
        until(lambda: monitor.live().status_code == 200, "life")
    finally:
        let_go.set()
        monitor.stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


def _output(monitor, name):
    return body(monitor.detailed())["checks"][name][0].get("output", "")


# -- plug-ins ---------------------------------------------------------------------------------


class Point:
    def __init__(self, name, load):
        self.name, self.load = name, load


def test_plugins_bring_checks_and_a_broken_one_warns(monkeypatch):
    one, two = Patient("license:valid").check, Patient("cache:warm").check

    def broken():
        raise ImportError("no module named hunter2")

    points = [
        Point("one", lambda: one),
        Point("two", lambda: lambda: [two]),
        Point("three", broken),
        Point("four", lambda: lambda: "nonsense"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    checks = Registry()
    checks.add_plugins()
    monitor = Monitor(checks, "1")
    asyncio.run(monitor.once())
    told = body(monitor.detailed())["checks"]
    assert told["license:valid"][0]["status"] == told["cache:warm"][0]["status"] == "pass"
    assert told["plugin:three"][0]["output"] == "the plug-in cannot be loaded: ImportError"
    assert told["plugin:four"][0]["output"] == "the plug-in cannot be loaded: TypeError"
    assert monitor.ready().status_code == 200


def test_a_name_that_is_taken_and_a_required_one_that_is_missing_are_refused():
    checks = Registry(["redis:ping"])
    checks.add(Patient().check)
    with pytest.raises(ConfigurationError, match="two health checks named patient:ping"):
        checks.add(Patient().check)
    with pytest.raises(ConfigurationError, match="redis:ping"):
        checks.check_required()


# -- the standard checks ----------------------------------------------------------------------


def found(check):
    return asyncio.run(probing.Prober(check).ask())


@pytest.mark.parametrize(
    ("check", "status", "output"),
    [
        (standard.migrations(lambda: "0001", "0001"), "pass", ""),
        (standard.migrations(lambda: "0001", "0002"), "fail", "the tables are at 0001"),
        (standard.migrations(lambda: None, "0002"), "fail", "the tables are at nothing"),
        (standard.agents(lambda: {"plan": ["a"]}), "pass", ""),
        (standard.agents(lambda: {"plan": []}), "fail", "no agent"),
        (standard.breakers(lambda: {"a": "closed", "b": "open"}), "warn", "b is open"),
        (standard.breakers(lambda: {"a": "closed"}), "pass", ""),
        (standard.pools(lambda: {"db": (5, 5, 2)}), "warn", "2 wait for db"),
        (standard.pools(lambda: {"db": (5, 5, 0)}), "pass", ""),
        (standard.queue(lambda: (7, 301.0, 9)), "warn", "the oldest of 7 waits for 301 s"),
        (standard.queue(lambda: (7, 2.0, 9)), "pass", ""),
        (
            standard.dead_letters(lambda: (2, 60.0)),
            "warn",
            "2 wait for a person, the oldest for 60 s",
        ),
        (standard.dead_letters(lambda: (0, None)), "pass", ""),
        (standard.workers(lambda: (0, 3)), "warn", "no worker lives and 3 orders wait"),
        (standard.workers(lambda: (0, 0)), "pass", ""),
        (standard.database(lambda: None), "pass", ""),
        (standard.redis(lambda: 1 / 0), "fail", "ZeroDivisionError"),
    ],
)
def test_what_the_standard_checks_find(check, status, output):
    standing = found(check)
    assert standing.status == status
    assert output in standing.seen.output


def test_what_checks_see_is_measured_as_well():
    found(standard.pools(lambda: {"db": (4, 5, 2)}))
    found(standard.queue(lambda: (7, 31.0, 9)))
    text = exposition().decode()
    for line in (
        'shipway_pool_connections{pool="db",state="in_use"} 4.0',
        'shipway_pool_waiting{pool="db"} 2.0',
        "shipway_queue_depth_runs 7.0",
        "shipway_open_orders 9.0",
        "shipway_queue_oldest_seconds 31.0",
        'shipway_health_check_status{check="queue:age"} 0.0',
    ):
        assert line in text


def test_breakers_are_looked_at_where_they_tell_their_state():
    BREAKERS.keep_only({})  # those of tests before this one
    breaker = Breaker("somebody", BreakerPolicy(window=1, minimum=1), observe=_measured)
    breaker.failure(breaker.enter())
    standing = found(standard.breakers(breaker_states))
    assert (standing.status, standing.seen.output) == ("warn", "somebody is open")
    BREAKERS.of("somebody", "open").set(0)


def test_the_file_system_is_written_and_left_as_it_was(tmp_path):
    assert found(standard.filesystem(tmp_path)).status == "pass"
    assert not list(tmp_path.iterdir())
    assert found(standard.filesystem(tmp_path / "gone")).status == "fail"
    assert found(standard.disk(tmp_path)).seen.unit == "MiB"


def test_every_standard_check_has_its_reason_and_is_fresh_enough_to_count():
    for check in standard.everything():
        assert check.reason
        assert check.remedy
        assert check.every + check.timeout < probing.STALE_AFTER


# -- the small endpoint -----------------------------------------------------------------------


def get(port, path, method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


def test_a_process_that_serves_nothing_else_answers_for_its_health():
    patient = Patient()
    monitor = watched(patient)
    endpoint = Endpoint(monitor, 0)
    endpoint.start()
    try:
        until(lambda: get(endpoint.port, "/health/ready")[0] == 200, "ready")
        code, text, headers = get(endpoint.port, "/health")
        assert (code, text) == (200, b'{"status":"pass"}')
        assert headers["Content-Type"] == "application/health+json"
        assert json.loads(get(endpoint.port, "/health/detailed?x=1")[1])["status"] == "pass"
        assert get(endpoint.port, "/health", "HEAD")[:2] == (200, b"")
        assert get(endpoint.port, "/nothing")[0] == 404
        assert get(endpoint.port, "/health", "POST")[0] == 405
        patient.hangs = True
        until(lambda: get(endpoint.port, "/health/ready")[0] == 503, "not ready")
        assert get(endpoint.port, "/health")[0] == 200
        with pytest.raises(OSError, match="address already in use"):
            Endpoint(watched(), endpoint.port).start()
    finally:
        patient.released.set()
        endpoint.stop()
