"""The tables, as SQLAlchemy metadata: migrations are checked against them for drift."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

pipelines = Table(
    "pipelines",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("definition", LargeBinary, nullable=False),
)

# Ids are looked up by how they begin, whatever language the server sorts in.
_ID = Text().with_variant(Text(collation="C"), "postgresql")

# ``due`` is when the run's next timer fires; ``state`` is the reducer's RunState as JSON, and
# ``seq`` the number of the last event in it: who keeps a state in memory checks it against that.
runs = Table(
    "runs",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("status", Text, nullable=False),
    Column("pipeline", Text, ForeignKey("pipelines.digest"), nullable=False),
    Column("title", Text, nullable=False),
    Column("trace", Text, nullable=False),
    Column("submission", LargeBinary, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Column("due", Float),
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("seq", Integer, nullable=False, server_default="0"),
    Column("pipeline_name", Text, nullable=False, server_default=""),
    Index("runs_by_status", "status", "number"),
    Index("runs_by_pipeline", "pipeline_name", "number"),
    Index("runs_of_pipeline", "pipeline"),
    Index("runs_by_end", "ended_at", "number"),
)

# Rows lie in the order of writing: what many runs say in one commit shares a few pages.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

events = Table(
    "events",
    metadata,
    Column("position", _NUMBER, primary_key=True, autoincrement=True),
    Column("run", Text, ForeignKey("runs.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("type", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("run", "seq", name="events_of_run"),
)

# ``deliveries`` is counted before an order is handed out, so that one that kills its worker
# is noticed. The unique key makes two orders for one attempt impossible. An engine that has a
# file to itself hands an order out as it is written: an index of those would be written for nothing.
_OPEN = text("status = 'open'")
_NEVER_HANDED_OUT = text("status = 'open' AND deliveries = 0")

orders = Table(
    "orders",
    metadata,
    Column("position", _NUMBER, primary_key=True, autoincrement=True),
    Column("run", Text, ForeignKey("runs.id"), nullable=False),
    Column("stage", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("token", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("deliveries", Integer, nullable=False),
    Column("task", LargeBinary, nullable=False),
    Column("outcome", LargeBinary),
    UniqueConstraint("run", "stage", "attempt", name="orders_of_run"),
    Index("orders_open", "deliveries", sqlite_where=_NEVER_HANDED_OUT, postgresql_where=_OPEN),
)

# Orders that nobody could do; ``state`` is dead, replayed or discarded.
dead_letters = Table(
    "dead_letters",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("run", Text, ForeignKey("runs.id"), nullable=False),
    Column("stage", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("capability", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("shipway", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("by", Text),
    Column("reason", Text),
    Column("resolved_at", Float),
    UniqueConstraint("run", "stage", "attempt"),
    Index("dead_letters_by_state", "state", "at"),
)

# What runs spend on models, in millionths of a dollar; without a ``cost`` the reservation counts.
spending = Table(
    "spending",
    metadata,
    Column("ticket", Text, primary_key=True),
    Column("run", Text, ForeignKey("runs.id"), nullable=False),
    Column("stage", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("cost", BigInteger),
    Column("tokens_in", BigInteger),
    Column("tokens_out", BigInteger),
    Index("spending_of_run", "run"),
)

# What other processes ask of the engine that owns the state directory.
commands = Table(
    "commands",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column("run", Text),
    Column("data", LargeBinary, nullable=False),
    Column("done_at", Float),
    Column("answer", LargeBinary),
    Index("commands_by_end", "done_at", "at"),
)

# One row: the earliest revision whose code may still work on these tables.
compatibility = Table("compatibility", metadata, Column("oldest", Text, primary_key=True))

# What a request with an idempotency key was answered with; written with what it did.
answers = Table(
    "answers",
    metadata,
    Column("scope", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("location", Text),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("scope", "key"),
    Index("answers_by_age", "at"),
)

# What an agent says it is doing now; overwritten, and of no consequence.
progress = Table(
    "progress",
    metadata,
    Column("run", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("doing", Text, nullable=False),
    PrimaryKeyConstraint("run", "stage"),
    sqlite_with_rowid=False,
)

# ``data`` is the flag as a document; ``version`` counts its changes.
flags = Table(
    "flags",
    metadata,
    Column("key", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

flag_changes = Table(
    "flag_changes",
    metadata,
    Column("key", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("key", "version"),
)

# Who works on what in a fleet; all of it can be made anew from the orders.
workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("serves", Text, nullable=False),
    Column("busy", Text, nullable=False),
    Column("draining", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("why", Text),
)

# ``state`` is held, reported or fenced; ``asked`` is why its worker is to hand it back.
claims = Table(
    "claims",
    metadata,
    Column("run", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("token", Integer, nullable=False),
    Column("worker", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("claimed_at", Float, nullable=False),
    Column("asked", Text),
    PrimaryKeyConstraint("run", "stage", "attempt"),
    Index("claims_of_worker", "worker"),
)

# An attempt that is inside a lane, of which only so many are at a time; it goes with its claim.
lanes = Table(
    "lanes",
    metadata,
    Column("run", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("lane", Text, nullable=False),
    PrimaryKeyConstraint("run", "stage", "attempt", "lane"),
    ForeignKeyConstraint(
        ["run", "stage", "attempt"],
        ["claims.run", "claims.stage", "claims.attempt"],
        ondelete="CASCADE",
    ),
    Index("lanes_by_name", "lane"),
)

# When the next attempt of a capability with a rate would begin if all came evenly.
paces = Table(
    "paces",
    metadata,
    Column("name", Text, primary_key=True),
    Column("next", Float, nullable=False),
)

# What workers said of their attempts, until an engine has taken it in.
reports = Table(
    "reports",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("run", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

# The one state directory that all processes of a fleet share.
fleet_homes = Table(
    "fleet_homes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("mark", Text, nullable=False),
)
