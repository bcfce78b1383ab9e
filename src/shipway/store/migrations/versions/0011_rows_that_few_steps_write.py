"""An engine that has a file to itself lets rows of runs lag behind, and needs no index of open orders."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Earlier code would take a row that is behind its events for a broken one."""
    if op.get_bind().dialect.name != "sqlite":
        return
    _index("status = 'open' AND deliveries = 0")
    op.execute("UPDATE compatibility SET oldest = '0011'")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _index("status = 'open'")
        op.execute("UPDATE compatibility SET oldest = '0006'")


def _index(where: str) -> None:
    op.drop_index("orders_open", "orders")
    op.create_index("orders_open", "orders", ["deliveries"], sqlite_where=sa.text(where))
