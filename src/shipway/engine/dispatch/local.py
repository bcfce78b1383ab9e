"""Hands orders to agents in this process, bounded per capability."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import inspect
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any, Literal

import structlog
from pydantic import BaseModel

from shipway.agents.agent import Agent, Asks, Desk, Failed
from shipway.agents.registry import Registry
from shipway.contracts.envelope import Question, Task, report_of
from shipway.contracts.registry import CONTRACTS, Contract
from shipway.domain.run import AskState
from shipway.domain.run import events as e
from shipway.engine.check import check_request, check_result
from shipway.engine.codec import encode
from shipway.engine.desks import Desks, Stop
from shipway.engine.dispatch.announcing import Announcer
from shipway.engine.dispatch.carrying import Around, Carriers
from shipway.engine.dispatch.room import Entrance, Lane
from shipway.errors import (
    AgentCrashedError,
    ContractError,
    CorruptRunError,
    ResourceError,
    ShipwayError,
)
from shipway.resilience import deadline
from shipway.store.ledger import OrderRow
from shipway.telemetry.logs import bound

#: A task that takes longer is announced as running; a shorter one is only reported when done.
ANNOUNCE_AFTER = 0.05
#: An order that has no room for longer is recorded as held back, with the reason.
RECORD_AFTER = 0.5

Tell = Callable[[str, e.Input, bytes | None], None]


@dataclass(slots=True)
class _Attempt:
    """An order in hand; ``carrier`` is what it runs in, ``since`` when it began to work."""

    order: OrderRow
    stop: Stop
    carrier: asyncio.Task[Any] | None = None
    since: float | None = None
    announced: bool = False


class LocalDispatch:
    """Lives on one event loop. ``tell`` brings what happened to the writer, from any thread.

    ``around`` hears before something is told, and when all that there is to tell at the moment has
    been told; an attempt that waited tells in its own time.
    """

    def __init__(
        self,
        registry: Registry,
        desks: Desks,
        tell: Tell,
        room: Entrance,
        contracts: Mapping[str, Contract] = CONTRACTS,
        *,
        distrust: Callable[[str, CorruptRunError], None],
        now: Callable[[], float] = time.time,
        around: Around = Around(),  # noqa: B008 - frozen
    ) -> None:
        self._now = now
        self._distrust = distrust
        self._contracts = contracts
        self._registry = registry
        self._desks = desks
        self._tell = tell
        self._room = room
        self._attempts: dict[tuple[str, str, int], _Attempt] = {}
        self._pool = ThreadPoolExecutor(max_workers=64, thread_name_prefix="agent")
        self._carriers = Carriers(self._carry, around)
        self._announcer = Announcer(ANNOUNCE_AFTER, self._attempts.values, self._announce)
        self._log = structlog.get_logger("dispatch")
        self.closed = False

    @property
    def in_hand(self) -> int:
        return len(self._attempts)

    def hand_out(self, order: OrderRow) -> None:
        """Start an order's attempt; returns at once. A run whose order is unreadable is put aside."""
        if self.closed:
            why = "the engine is stopping"
            given = e.Interrupted(order.stage, order.attempt, order.token, why, suspect=False)
            self._tell(order.run, given, None)
            return
        attempt = _Attempt(order, Stop())
        self._attempts[order.run, order.stage, order.attempt] = attempt
        self._carriers.put(attempt)

    def call_off(self, run: str, stage: str, attempt: int) -> None:
        """Stop an attempt's work; nothing that it still reports will count."""
        found = self._attempts.get((run, stage, attempt))
        if found is not None:
            found.stop.ask()
            if found.carrier is not None:
                found.carrier.cancel()

    def give_back(self, run: str | None, why: str) -> None:
        """Stop the attempts of a run (of all runs: None) and report them as interrupted."""
        for found in list(self._attempts.values()):
            order = found.order
            if run in {None, order.run}:
                given = e.Interrupted(order.stage, order.attempt, order.token, why, suspect=False)
                self._tell(order.run, given, None)
                self.call_off(order.run, order.stage, order.attempt)

    def _announce(self, attempt: _Attempt) -> None:
        order = attempt.order
        self._tell(order.run, e.Started(order.stage, order.attempt, order.token), None)

    def of_run(self, run: str) -> int:
        return sum(found.order.run == run for found in self._attempts.values())

    async def close(self) -> None:
        """Wait for what was called off to be really over."""
        self.closed = True
        await self._carriers.end()
        self._announcer.stop()
        await asyncio.to_thread(self._pool.shutdown, wait=True)

    async def _carry(self, attempt: _Attempt, carrier: asyncio.Task[Any]) -> None:
        order = attempt.order
        try:
            if not attempt.stop.asked:
                attempt.carrier = carrier
                await self._attempt(attempt)
        except asyncio.CancelledError:
            if not attempt.stop.asked:
                raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the order is not done
            self._log.error("attempt.lost", run=order.run, stage=order.stage, error=repr(error))
            why = "the engine failed while it ran"
            given = e.Interrupted(order.stage, order.attempt, order.token, why, suspect=True)
            self._tell(order.run, given, None)
        finally:
            del self._attempts[order.run, order.stage, order.attempt]

    async def _attempt(self, attempt: _Attempt) -> None:
        order = attempt.order
        try:
            task = Task.__pydantic_validator__.validate_json(order.task)
        except ValueError:
            why = f"the order of {order.stage}, attempt {order.attempt}, cannot be read"
            self._distrust(order.run, CorruptRunError(why))
            return
        lanes = self._room.lanes(task)
        waited = 0.0
        if not self._room.admits(task, lanes):
            asked = time.monotonic()
            await self._let_in(order, task, lanes)
            waited = time.monotonic() - asked
        try:
            began, attempt.since = time.time(), time.monotonic()
            self._announcer.watch()
            with deadline.within(self._left(task, waited), attempt.since):
                given = await self._outcome(task, attempt.stop, began)
        finally:
            self._room.leave(task, lanes)
        took = time.time() - began
        if took > ANNOUNCE_AFTER:  # long enough for people to have seen it running
            self._note(task, given, took)
        wrong = None if given.error is None else encode(given.error)
        self._tell(order.run, given, wrong)

    def _left(self, task: Task, waited: float) -> float | None:
        """What its envelope leaves to an attempt, less the way home; time in line is no time at work.

        An envelope whose time was up before it came says nothing: the engine's own timer decides.
        """
        if task.deadline is None:
            return None
        left = datetime.fromisoformat(task.deadline).timestamp() - self._now() + waited
        return left - deadline.HOP if left > deadline.HOP else None

    async def _let_in(self, order: OrderRow, task: Task, lanes: tuple[Lane, ...]) -> None:
        """Wait for room; a wait that a person would notice is recorded with its reason."""
        alarm: list[asyncio.TimerHandle] = []

        def held(reason: str) -> None:
            given = e.Held(order.stage, order.attempt, order.token, reason)
            loop = asyncio.get_running_loop()
            alarm.append(loop.call_later(RECORD_AFTER, self._tell, order.run, given, None))

        try:
            await self._room.enter(task, lanes, held)
        finally:
            for one in alarm:
                one.cancel()

    def _note(self, task: Task, given: e.Completed, seconds: float) -> None:
        code = given.error["code"] if given.error else None
        with bound(
            run=task.run, stage=task.stage, attempt=task.attempt, traceparent=task.traceparent
        ):
            self._log.info(
                "attempt ended", status=given.status, seconds=round(seconds, 3), code=code
            )

    async def _outcome(self, task: Task, stop: Stop, began: float) -> e.Completed:
        try:
            contract = self._contracts[task.capability]
            agent = self._registry.find(task.capability, task.agent)
            request = check_request(contract, task)
            desk = self._desks.desk(task, stop)
            if _is_async(type(agent)):
                done = await agent.perform(request, desk)  # type: ignore[misc] # it is a coroutine
            else:
                done = await self._in_thread(agent, request, desk, stop)
            result = check_result(contract, done, desk.artifacts, task.version)
        except Asks as asks:
            questions = tuple(_ask(question) for question in asks.questions)
            return _completed(task, began, "asks", asks=questions)
        except Failed as failed:
            shown = self._shown(task, failed.result)
            report = failed.report.model_dump(mode="json")
            return _completed(task, began, "failed", error=report, result=shown)
        except Exception as error:  # noqa: BLE001 - last resort: it becomes a report
            if not isinstance(error, ShipwayError):
                self._log.exception("agent.crashed", run=task.run, stage=task.stage)
            return _completed(task, began, "failed", error=_report(error))
        return _completed(task, began, "succeeded", result=result)

    def _shown(self, task: Task, result: BaseModel | None) -> dict[str, Any] | None:
        """What an attempt that failed brought all the same, in the version of its run."""
        if result is None:
            return None
        contract = self._contracts[task.capability]
        plain = result.model_dump(mode="json")
        if task.version == contract.version:
            return plain
        try:
            return contract.history.cast("result", plain, contract.version, task.version)
        except ContractError as error:
            self._log.warning("result not shown", stage=task.stage, why=error.message)
            return None

    async def _in_thread(self, agent: Agent, request: BaseModel, desk: Desk, stop: Stop) -> Any:
        """Run a blocking agent; when the attempt is cancelled its thread is awaited all the same."""
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()  # with the deadline, and whose attempt it is
        sit = partial(context.run, self._desks.sit, agent, request, desk)
        working = loop.run_in_executor(self._pool, sit)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            stop.ask()
            await asyncio.wait([working])
            if not working.cancelled():
                working.exception()  # what it says now no longer counts, and is no news
            raise


@cache
def _is_async(kind: type[Agent]) -> bool:
    return inspect.iscoroutinefunction(kind.perform)


def _completed(
    task: Task,
    began: float,
    status: Literal["succeeded", "failed", "asks"],
    *,
    result: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
    asks: tuple[AskState, ...] = (),
) -> e.Completed:
    return e.Completed(
        task.stage, task.attempt, task.token, status, result, error, asks, started_at=began
    )


def _ask(question: Question) -> AskState:
    return AskState(
        id=question.id,
        kind="clarification",
        question=question.text,
        options=tuple(question.options),
        default=question.default,
        deadline=time.time() + question.deadline_s,
        why=question.why,
    )


def _report(error: Exception) -> dict[str, Any]:
    told = error if isinstance(error, ShipwayError) else _named(error)
    return report_of(told).model_dump(mode="json")


def _named(error: Exception) -> ShipwayError:
    """What has run out here may be there for the next attempt; anything else is a fault of the agent."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return ResourceError("the disk is full", hint="make room where SHIPWAY_HOME is")
    if isinstance(error, MemoryError):
        return ResourceError(
            "the memory that its process may use was used up",
            hint="give the worker more, or let it do less at once: --concurrency",
        )
    return AgentCrashedError(
        f"the agent stopped on an unexpected {type(error).__name__}",
        hint="the engine's log has the details",
    )
