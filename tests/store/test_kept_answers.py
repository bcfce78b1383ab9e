"""Answers under a key: many that come at once go to the database together, and the first one counts."""

from __future__ import annotations

import asyncio

import pytest

from shipway.engine.once import Answers
from shipway.store.database import Database
from shipway.store.keys import KEPT_FOR, KeptAnswer


def an_answer(body: bytes) -> KeptAnswer:
    return KeptAnswer("f" * 64, 200, None, body)


def test_many_at_once_are_kept_and_of_the_same_key_the_first_one_counts(database: Database):
    now = [1000.0]
    answers = Answers(database, lambda: now[0])

    async def ask() -> None:
        assert await answers.find("a", "k0") is None
        some = [an_answer(b"%d" % number) for number in range(200)]
        kept = await asyncio.gather(
            *(answers.keep("a", f"k{number}", one) for number, one in enumerate(some)),
            *(answers.keep("b", "same", one) for one in some),
        )
        assert kept[:200] == some
        assert kept[200:] == [some[0]] * 200
        found = await asyncio.gather(*(answers.find("a", f"k{number}") for number in range(201)))
        assert found == [*some, None]
        now[0] += KEPT_FOR + 1
        assert await answers.find("a", "k7") is None
        assert await answers.keep("a", "k7", some[1]) == some[1]

    asyncio.run(ask())
    answers.close()


def test_what_cannot_be_kept_is_told_to_everybody_and_the_next_one_is_kept(database: Database):
    answers = Answers(database)
    wrong = KeptAnswer("f" * 64, 200, None, None)  # type: ignore[arg-type]  # what no table takes

    async def ask() -> None:
        told = await asyncio.gather(
            *(answers.keep("a", "wrong", wrong) for _ in range(3)), return_exceptions=True
        )
        assert all(isinstance(one, Exception) for one in told), told
        assert await answers.keep("a", "right", an_answer(b"1")) == an_answer(b"1")
        gone = asyncio.create_task(answers.find("a", "right"))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert await answers.find("a", "right") == an_answer(b"1")

    asyncio.run(ask())
    answers.close()
