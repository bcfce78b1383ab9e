"""Dead letters: what nobody could do is kept with its whole history, and can be done again once."""

from __future__ import annotations

import time

import pytest
from scripted import House, WorkRequest, WorkResult, pipeline, stage

from shipway.agents.agent import Asks, Desk
from shipway.contracts.envelope import Question
from shipway.domain.retries import RetryPolicy
from shipway.domain.states import RunStatus
from shipway.engine.letters import Letters
from shipway.errors import CommandError, NetworkError, UsageError
from shipway.health.standard import dead_letters
from shipway.store.dead import Which
from shipway.telemetry.metrics import exposition

ONE = pipeline(stage("plan"), stage("ship", "plan", retries=RetryPolicy(1, base=0.01)))


def unreachable(_request: WorkRequest, _desk: Desk) -> WorkResult:
    raise NetworkError("nobody answers")


@pytest.fixture
def letters(house: House) -> Letters:
    return Letters(house.database, house.queries)


def test_an_order_that_used_up_its_attempts_is_kept_with_everything(
    house: House, letters: Letters
) -> None:
    house.agent.script = {"ship": unreachable}
    house.engine()
    run = house.submit(ONE)
    house.until(run)
    (letter,) = letters.list(Which())
    assert (letter.run, letter.stage, letter.attempt, letter.code) == (run, "ship", 2, "NETWORK")
    detail = letters.view(letter.number)
    assert detail.payload["request"] == {"answers": {}, "seen": ">plan"}
    assert [one.error.message for one in detail.history if one.error] == ["nobody answers"] * 2
    assert detail.trace.split("-")[1] == house.queries.run(run).trace.split("-")[1]
    assert set(detail.versions) == {"shipway", "contract work"}
    depth = letters.depth()
    assert depth.depth == 1
    assert depth.oldest is not None


def test_depth_and_age_are_told_by_gauges(house: House) -> None:
    later = [0.0]
    letters = Letters(house.database, house.queries, lambda: time.time() + later[0])

    def gauges() -> tuple[float, float]:
        check = dead_letters(lambda: (letters.depth().depth, letters.depth().oldest))
        assert callable(check.probe)
        check.probe()
        lines = dict(line.rsplit(" ", 1) for line in exposition().decode().splitlines())
        return float(lines["shipway_dead_letters"]), float(
            lines["shipway_dead_letters_oldest_seconds"]
        )

    assert gauges() == (0, 0)
    house.agent.script = {"ship": unreachable}
    house.engine()
    for _ in range(2):
        house.until(house.submit(ONE))
    later[0] = 1000.0
    depth, age = gauges()
    assert depth == 2
    assert 1000 <= age < 1060
    first, second = (one.number for one in letters.list(Which()))
    with house.database.writing() as connection:
        connection.execute("UPDATE dead_letters SET at = at - 500 WHERE number = ?", (first,))
    assert 1500 <= gauges()[1] < 1560
    house.commands.discard([first], "ada", "done by hand")
    assert gauges()[0] == 1
    assert 1000 <= gauges()[1] < 1060
    house.commands.discard([second], "ada", "done by hand")
    assert gauges() == (0, 0)


def test_a_refused_change_is_no_dead_letter(house: House, letters: Letters) -> None:
    def refuse(_request: WorkRequest, _desk: Desk) -> WorkResult:
        raise CommandError("it does not fit")

    house.agent.script = {"ship": refuse}
    house.engine()
    house.until(house.submit(ONE))
    assert letters.list(Which()) == []
    assert letters.depth().depth == 0


def test_a_replay_is_a_new_attempt_with_a_new_token_under_the_same_key(
    house: House, letters: Letters
) -> None:
    keys, tokens = [], []

    def note(request: WorkRequest, desk: Desk) -> WorkResult:
        keys.append(desk.task.key)
        tokens.append(desk.task.token)
        if len(keys) <= 2:
            raise NetworkError("nobody answers")
        return WorkResult(said=request.seen)

    house.agent.script = {"ship": note}
    house.engine()
    run = house.submit(ONE)
    house.until(run)
    (letter,) = letters.list(Which())
    (result,) = house.commands.replay([letter.number], by="ada", reason="it is back")
    assert result.ok
    assert house.until(run).summary.status is RunStatus.SUCCEEDED
    assert len(set(keys)) == 1
    assert len(set(tokens)) == 3
    assert letters.view(letter.number).letter.state == "replayed"
    assert letters.view(letter.number).letter.reason == "it is back"
    house.commands.rewind(run, "ship", by="ada")
    house.until(run)
    assert len(set(keys)) == 2, "a rewind is other work"


def test_many_at_once_tell_what_became_of_each(house: House, letters: Letters) -> None:
    house.agent.script = {"ship": unreachable}
    house.engine()
    for _ in range(3):
        house.until(house.submit(ONE))
    house.agent.script = {}
    first, second, third = (one.number for one in letters.list(Which(code="NETWORK")))
    assert [one.ok for one in house.commands.discard([second], "ada", "done by hand")] == [True]
    results = house.commands.replay([first, second, third, 99], by="ada")
    assert [one.ok for one in results] == [True, False, True, False]
    assert results[1].error is not None
    assert "discarded by ada" in str(results[1].error["message"])
    assert [one.ok for one in house.commands.replay([first], by="ada")] == [False]
    assert letters.list(Which()) == []
    with pytest.raises(UsageError, match="why"):
        house.commands.discard([first], "ada", " ")


def test_a_retry_of_the_run_replays_its_letter(house: House, letters: Letters) -> None:
    house.agent.script = {"ship": unreachable}
    house.engine()
    run = house.submit(ONE)
    house.until(run)
    house.agent.script = {}
    house.commands.retry(run, by="ada", reason="mended")
    assert house.until(run).summary.status is RunStatus.SUCCEEDED
    assert [one.state for one in letters.list(Which(state=None))] == ["replayed"]


def test_an_agent_that_asks_for_ever_comes_to_an_end(house: House, letters: Letters) -> None:
    def ask(_request: WorkRequest, desk: Desk) -> WorkResult:
        name = f"q{desk.task.attempt}"
        raise Asks(Question(id=name, text="which?", options=[], default="any", deadline_s=0.0))

    house.agent.script = {"plan": ask}
    house.engine()
    detail = house.until(house.submit(pipeline(stage("plan"))), within=30)
    assert detail.summary.status is RunStatus.FAILED
    assert detail.stages[0].attempt == 100
    assert detail.stop is not None
    assert detail.stop.code == "ENDLESS"
    assert [one.code for one in letters.list(Which())] == ["ENDLESS"]
