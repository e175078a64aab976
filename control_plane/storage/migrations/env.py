"""Alembic's entry. The connection is given by control_plane.storage.migrate; there is no offline mode."""

from alembic import context

from control_plane.storage.columns import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=False,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
