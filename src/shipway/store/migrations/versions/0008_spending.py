"""What runs spend on models, one row a request."""

import sqlalchemy as sa
from alembic import op

from shipway.errors import UnimplementedError

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "spending",
        sa.Column("ticket", sa.Text, primary_key=True),
        sa.Column("run", sa.Text, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("reserved", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.BigInteger),
        sa.Column("tokens_in", sa.BigInteger),
        sa.Column("tokens_out", sa.BigInteger),
    )
    op.create_index("spending_of_run", "spending", ["run"])


def downgrade() -> None:
    raise UnimplementedError("going back to tables of an earlier version", hint="restore a backup")
