"""Alembic's environment: the connection comes from ``osler.storage.migrate``, within its transaction."""

from alembic import context

from osler.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
