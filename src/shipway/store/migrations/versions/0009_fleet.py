"""Who works on what in a fleet: workers, their claims, what they reported."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("serves", sa.Text, nullable=False),
        sa.Column("busy", sa.Text, nullable=False),
        sa.Column("draining", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("seen_at", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float),
        sa.Column("why", sa.Text),
    )
    op.create_table(
        "claims",
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("claimed_at", sa.Float, nullable=False),
        sa.Column("asked", sa.Text),
        sa.PrimaryKeyConstraint("run", "stage", "attempt"),
    )
    op.create_index("claims_of_worker", "claims", ["worker"])
    op.create_table(
        "reports",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "fleet_homes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("mark", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Leases are judged on one clock, which is no machine's of the fleet.
        op.execute(
            "CREATE FUNCTION fleet_now() RETURNS float8 LANGUAGE sql VOLATILE"
            " AS 'SELECT extract(epoch FROM clock_timestamp())::float8'"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION fleet_now()")
    for table in ("fleet_homes", "reports", "claims", "workers"):
        op.drop_table(table)
