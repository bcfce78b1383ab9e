"""Events and orders lie in the order of writing: one page takes what a hundred runs say at once."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from shipway.errors import UnimplementedError

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: SQLite numbers the rows of a table by its one INTEGER key; elsewhere it is a sequence.
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _anew(
        "events",
        "run, seq, at, type, data",
        sa.Column("position", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("run", sa.Text, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("run", "seq", name="events_of_run"),
    )
    _anew(
        "orders",
        "run, stage, attempt, token, status, deliveries, task, outcome",
        sa.Column("position", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("run", sa.Text, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("deliveries", sa.Integer, nullable=False),
        sa.Column("task", sa.LargeBinary, nullable=False),
        sa.Column("outcome", sa.LargeBinary),
        sa.UniqueConstraint("run", "stage", "attempt", name="orders_of_run"),
    )


def _anew(table: str, columns: str, *wanted: sa.Column[Any] | sa.UniqueConstraint) -> None:
    """A table of another shape in the place of one, with its rows as old as they are."""
    op.rename_table(table, f"old_{table}")
    op.create_table(table, *wanted)
    order = "at, run, seq" if table == "events" else "run, attempt, stage"
    op.execute(
        f"INSERT INTO {table} ({columns}) SELECT {columns} FROM old_{table} ORDER BY {order}"  # noqa: S608
    )
    op.drop_table(f"old_{table}")


def downgrade() -> None:
    raise UnimplementedError("going back to tables of an earlier version", hint="restore a backup")
