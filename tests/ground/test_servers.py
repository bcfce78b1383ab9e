"""The servers that tests use are real, theirs alone, and gone when the session is."""

from __future__ import annotations

import psycopg
import redis

from servers import Postgres


def test_each_test_has_a_database_of_its_own(postgres_server: Postgres, postgres_url: str) -> None:
    other = postgres_server.create()
    with psycopg.connect(postgres_url) as mine:
        mine.execute("CREATE TABLE mine (id integer)")
    with psycopg.connect(other) as theirs:
        tables = theirs.execute("SELECT 1 FROM pg_tables WHERE tablename = 'mine'").fetchall()
    assert tables == []
    postgres_server.drop(other)


def test_redis_is_empty_and_keeps_what_it_is_given(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys("*") == []
        client.set("key", "value", ex=60)
        assert client.get("key") == b"value"


def test_a_server_that_is_stopped_comes_back_on_the_same_port_with_what_it_had() -> None:
    with Postgres() as server:
        url = server.create()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept (id integer)")
        server.stop()
        server.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
