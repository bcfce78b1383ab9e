"""Answers are kept under the key that a caller gave: the same request again has the same answer."""

import sqlalchemy as sa
from alembic import op

from shipway.errors import UnimplementedError

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("location", sa.Text),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("scope", "key"),
    )
    op.create_index("answers_by_age", "answers", ["at"])


def downgrade() -> None:
    raise UnimplementedError("going back to tables of an earlier version", hint="restore a backup")
