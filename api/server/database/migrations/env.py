"""Alembic's entry: runs the steps on the connection that `api.server.database.engine.migrate` opened."""

from alembic import context

from api.server.database.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
