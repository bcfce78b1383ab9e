"""What only so many attempts of a fleet may do at once, and when the next may begin."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lanes",
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run", "stage", "attempt", "lane"),
        sa.ForeignKeyConstraint(
            ["run", "stage", "attempt"],
            ["claims.run", "claims.stage", "claims.attempt"],
            ondelete="CASCADE",
        ),
    )
    op.create_index("lanes_by_name", "lanes", ["lane"])
    op.create_table(
        "paces",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("next", sa.Float, nullable=False),
    )


def downgrade() -> None:
    for table in ("paces", "lanes"):
        op.drop_table(table)
