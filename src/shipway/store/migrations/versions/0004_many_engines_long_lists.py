"""Many engines may advance runs, and lists, retention and hand-out stay quick among many of them."""

import sqlalchemy as sa
from alembic import op

from shipway.errors import UnimplementedError

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("seq", sa.Integer, nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("pipeline_name", sa.Text, nullable=False, server_default=""))
    op.execute(
        "UPDATE runs SET"
        " seq = coalesce((SELECT max(seq) FROM events WHERE events.run = runs.id), 0),"
        " pipeline_name = (SELECT name FROM pipelines WHERE digest = runs.pipeline)"
    )
    op.drop_index("runs_by_status", "runs")
    op.create_index("runs_by_status", "runs", ["status", "number"])
    op.create_index("runs_by_pipeline", "runs", ["pipeline_name", "number"])
    op.create_index("runs_of_pipeline", "runs", ["pipeline"])
    op.create_index("runs_by_end", "runs", ["ended_at", "number"])
    op.drop_index("commands_open", "commands")
    op.create_index("commands_by_end", "commands", ["done_at", "at"])
    is_open = sa.text("status = 'open'")
    op.create_index(
        "orders_open", "orders", ["deliveries"], sqlite_where=is_open, postgresql_where=is_open
    )
    if op.get_bind().dialect.name == "postgresql":
        # Here several processes may write new runs at once, and no number is given twice.
        op.execute("CREATE SEQUENCE run_numbers")
        op.execute("SELECT setval('run_numbers', max(number)) FROM runs HAVING max(number) > 0")


def downgrade() -> None:
    raise UnimplementedError("going back to tables of an earlier version", hint="restore a backup")
