"""The first tables: pipelines, runs, events, orders, commands, progress."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "pipelines",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("definition", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("id", ID, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("pipeline", sa.Text, sa.ForeignKey("pipelines.digest"), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("trace", sa.Text, nullable=False),
        sa.Column("submission", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("due", sa.Float),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float),
    )
    op.create_index("runs_by_status", "runs", ["status"])
    op.create_table(
        "events",
        sa.Column("run", sa.Text, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "orders",
        sa.Column("run", sa.Text, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("deliveries", sa.Integer, nullable=False),
        sa.Column("task", sa.LargeBinary, nullable=False),
        sa.Column("outcome", sa.LargeBinary),
        sa.PrimaryKeyConstraint("run", "stage", "attempt"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "commands",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("run", sa.Text),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("done_at", sa.Float),
        sa.Column("answer", sa.LargeBinary),
    )
    op.create_index("commands_open", "commands", ["done_at", "at"])
    op.create_table(
        "progress",
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("doing", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run", "stage"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in ("progress", "commands", "orders", "events", "runs", "pipelines"):
        op.drop_table(table)
