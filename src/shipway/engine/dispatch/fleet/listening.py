"""Hears what is said on the fleet's channel of the database, and connects again when it went away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import psycopg
from psycopg import sql

from shipway.store.fleet import CHANNEL

_AGAIN = 0.5


async def listen(conninfo: str, heard: Callable[[str], None]) -> None:
    """For ever; ``heard`` also gets an empty text for each (re)connection: something may be missed."""
    while True:
        with contextlib.suppress(psycopg.Error, OSError):
            async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as line:
                await line.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                heard("")
                async for notice in line.notifies():
                    heard(notice.payload)
        await asyncio.sleep(_AGAIN)
