"""Run by Alembic. The connection, with its transaction, comes from `schema.migrate`."""

from alembic import context

from fhirbridge.adapters.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
