"""Runs migrations on the connection that ``store.migrate`` hands over."""

from alembic import context

from shipway.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,  # ``store.migrate`` opened the transaction
)
with context.begin_transaction():
    context.run_migrations()
