"""The tables say which earlier versions may still work on them: a fleet is upgraded one by one."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A later migration that earlier code cannot live with sets it to its own revision."""
    op.create_table("compatibility", sa.Column("oldest", sa.Text, primary_key=True))
    op.execute("INSERT INTO compatibility (oldest) VALUES ('0006')")


def downgrade() -> None:
    op.drop_table("compatibility")
