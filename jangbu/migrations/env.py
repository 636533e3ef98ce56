"""Alembic's environment: each revision runs one file of plain SQL in the transaction that Alembic keeps."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
