"""Alembic's entry: runs the steps on the connection that `api.db.migrate` opened."""

from alembic import context

from api.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
