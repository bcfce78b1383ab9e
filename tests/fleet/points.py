"""The named points at which a process can be killed or stopped: every commit, and every effect.

The product knows nothing of them: each names a function of it, and whether the fault comes right
before or right after that does its work. A process arms itself with one of them when it starts.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import random
import signal
import threading
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

#: Who can come to a point: an engine or a worker of a fleet, an engine that is alone on SQLite,
#: a client that submits, a process that makes the tables.
Role = Literal["engine", "worker", "alone", "client", "maker"]
#: What has to happen for a process to come there.
Scenario = Literal["work", "drain", "takeover", "command", "submit", "recover", "migrate"]


class Point(NamedTuple):
    """``owner.name`` is what the process is about to do, or has just done, when the fault comes.

    ``owner`` is a module of the product, or a class in one (``module:Class``); it is imported by who
    arms itself only. ``some``: only when it returned something. ``time``: which time it comes to the point.
    """

    roles: tuple[Role, ...]
    owner: str
    name: str
    when: Literal["before", "after"]
    meaning: str
    scenario: Scenario = "work"
    some: bool = False
    time: int = 1


_W: tuple[Role, ...] = ("worker",)
_E: tuple[Role, ...] = ("engine",)
_WA: tuple[Role, ...] = ("worker", "alone")
_EA: tuple[Role, ...] = ("engine", "alone")

POINTS: dict[str, Point] = {
    # a submission
    "submit.written": Point(
        ("client",), "engine.writing:Page", "write", "after", "not committed", "submit"
    ),
    "submit.committed": Point(
        ("client",), "engine.commands:Commands", "_ring", "before", "nobody knows", "submit"
    ),
    # an order
    "order.fetched": Point(
        _W, "store.fleet", "claim", "before", "a job is fetched, nothing claimed"
    ),
    "order.claiming": Point(_W, "store.fleet", "claim", "after", "claimed, not committed"),
    "order.taken": Point(
        _WA, "engine.dispatch.local:LocalDispatch", "hand_out", "before", "it is the process's own"
    ),
    "order.handed-out": Point(
        _WA, "engine.dispatch.local:LocalDispatch", "hand_out", "after", "its attempt was begun"
    ),
    "order.placing": Point(
        _E,
        "engine.dispatch.fleet.queue:Placing",
        "place",
        "after",
        "job and order written, not committed",
    ),
    # an attempt
    "attempt.begun": Point(_WA, "engine.desks:Desks", "sit", "before", "its thread has begun"),
    "attempt.announced": Point(
        _WA, "engine.dispatch.local:LocalDispatch", "_announce", "after", "it is said to run"
    ),
    "attempt.cleared": Point(
        _WA, "engine.desks:Desks", "sit", "after", "the workspace is gone again"
    ),
    "artifact.kept": Point(
        _WA, "store.artifacts:ArtifactStore", "put", "after", "a file is kept, nothing names it"
    ),
    "commit.made": Point(
        _WA, "workspace.hub:Hub", "apply", "after", "the candidate is in the hub only"
    ),
    "result.checked": Point(
        _WA, "engine.dispatch.local", "check_result", "after", "the work is done"
    ),
    # effects
    "merge.written-down": Point(
        _WA, "agents.integrate", "_write_down", "after", "before the branch moves"
    ),
    "merge.confirmed": Point(
        _WA, "agents.integrate", "publish", "before", "it may move the branch"
    ),
    "merge.moving": Point(_WA, "workspace.publishing", "_swap", "before", "the journal is written"),
    "merge.moved": Point(
        _WA, "workspace.publishing", "_swap", "after", "the branch moved, journal left"
    ),
    "merge.published": Point(_WA, "agents.integrate", "publish", "after", "merged, nobody told"),
    "deploy.prepared": Point(
        _WA, "release.releases:Releases", "_prepare", "after", "files are there"
    ),
    "deploy.asking": Point(_WA, "release.control", "call", "before", "the supervisor is up"),
    "deploy.switched": Point(_WA, "release.control", "call", "after", "it is live, nobody told"),
    "message.unsent": Point(_WA, "teller:Teller", "send", "before", "right before a message"),
    "message.sent": Point(_WA, "teller:Teller", "send", "after", "sent, nobody told"),
    # a result
    "report.telling": Point(
        _W,
        "engine.dispatch.fleet.worker:Worker",
        "_report",
        "before",
        "the outcome is known here only",
    ),
    "report.written": Point(_W, "store.fleet", "report", "after", "not committed"),
    "report.durable": Point(
        _W, "engine.dispatch.fleet.worker:Worker", "_report", "after", "the claim is given up"
    ),
    "report.taking": Point(_E, "store.fleet", "take_report", "after", "half taken in"),
    # a run's own commit
    "advance.written": Point(
        _EA, "engine.writing:Page", "write", "after", "events, state, orders; not committed"
    ),
    "advance.committed": Point(
        _EA, "engine.engine:Engine", "_after_commit", "before", "nothing followed yet"
    ),
    "advance.followed": Point(
        _EA, "engine.engine:Engine", "_after_commit", "after", "orders are handed out"
    ),
    "timer.due": Point(_EA, "engine.timers:Timers", "_fire", "before", "a retry falls due"),
    "timer.told": Point(_EA, "engine.timers:Timers", "_fire", "after", "and is in the inbox"),
    # a lease
    "member.joining": Point(("engine", "worker"), "store.fleet", "join", "after", "not committed"),
    "member.joined": Point(
        ("engine", "worker"),
        "engine.dispatch.fleet.member:Member",
        "join",
        "after",
        "nothing taken yet",
    ),
    "lease.renewing": Point(
        ("engine", "worker"), "store.fleet", "beat", "after", "not committed", time=4
    ),
    "lease.renewed": Point(
        ("engine", "worker"),
        "engine.dispatch.fleet.member:Member",
        "_beat",
        "after",
        "in the work",
        time=4,
    ),
    # taking over
    "takeover.judged": Point(
        _E, "store.fleet", "lost", "after", "taken for dead", "takeover", some=True
    ),
    "takeover.fenced": Point(_E, "store.fleet", "fence", "after", "fenced", "takeover", some=True),
    "takeover.worded": Point(
        _E, "engine.dispatch.fleet.reports", "lost", "after", "not committed", "takeover"
    ),
    "takeover.offered": Point(
        _E,
        "engine.dispatch.fleet.queue:Consumer",
        "reap",
        "after",
        "jobs too",
        "takeover",
        some=True,
    ),
    # going in good order
    "drain.begun": Point(
        _W, "engine.dispatch.fleet.worker:Worker", "_close", "before", "the grace is over", "drain"
    ),
    "handback.told": Point(
        _WA, "engine.dispatch.local:LocalDispatch", "give_back", "after", "told", "drain"
    ),
    "handback.written": Point(
        _W, "store.fleet", "report", "after", "not committed", "drain", time=2
    ),
    "leave.written": Point(_W, "store.fleet", "leave", "after", "not committed", "drain"),
    "leave.committed": Point(
        _W, "engine.dispatch.fleet.member:Member", "leave", "after", "nobody's any more", "drain"
    ),
    # what a person asks for
    "command.begun": Point(_EA, "engine.engine:Engine", "_obey", "before", "read", "command"),
    "command.answering": Point(
        _EA, "store.ledger", "finish_command", "after", "written", "command"
    ),
    # coming up
    "recover.cleared": Point(
        ("alone",), "engine.desks:Desks", "clear_run", "after", "found", "recover"
    ),
    "recover.told": Point(
        ("alone",), "engine.engine:Engine", "_read_timers", "before", "done", "recover"
    ),
    "migrate.begun": Point(("maker",), "store.migrate", "_present", "after", "locked", "migrate"),
    "migrate.done": Point(
        ("maker",), "store.migrate", "_present", "after", "made", "migrate", time=2
    ),
    "migrate.committed": Point(
        ("maker",), "store.migrate", "migrate_to", "after", "committed", "migrate"
    ),
}


def arm_as_asked() -> None:
    """As ``FAULT_AT`` says: the name of a point, and ``=stop`` where it is to stand still instead."""
    asked = os.environ.get("FAULT_AT")
    if asked:
        name, _, what = asked.partition("=")
        arm(name, signal.SIGSTOP if what == "stop" else signal.SIGKILL)


def arm(name: str, what: signal.Signals = signal.SIGKILL) -> None:
    """From now on this process sends itself a signal when it comes to a point."""
    point = POINTS[name]
    left = [point.time]

    def strike() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), what)

    owner = _owner(point.owner)
    setattr(owner, point.name, _around(getattr(owner, point.name), point, strike))


def _owner(words: str) -> Any:
    module, _, name = words.partition(":")
    found = importlib.import_module(module if module == "teller" else f"shipway.{module}")
    return getattr(found, name) if name else found


def echo() -> None:
    """From now on outcomes reach the writer late, twice, and so in any order."""
    from shipway.engine.advance import Writer

    tell = Writer.tell

    def late(writer: Writer, run: str, given: Any, outcome: bytes | None = None) -> None:
        chance = random.Random(f"{run} {given}")
        for _ in range(2):
            after = threading.Timer(chance.uniform(0.0, 0.5), tell, (writer, run, given, outcome))
            after.daemon = True
            after.start()

    Writer.tell = late  # type: ignore[method-assign]


def _around(
    function: Callable[..., Any], point: Point, strike: Callable[[], None]
) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waited(*given: Any, **named: Any) -> Any:
            if point.when == "before":
                strike()
            result = await function(*given, **named)
            if point.when == "after" and (result or not point.some):
                strike()
            return result

        return waited

    @functools.wraps(function)
    def called(*given: Any, **named: Any) -> Any:
        if point.when == "before":
            strike()
        result = function(*given, **named)
        if point.when == "after" and (result or not point.some):
            strike()
        return result

    return called
