"""The engine: what it leaves behind when it is closed."""

from typing import Any

from sqlalchemy import event, text

from api.server.database.engine import Database


def test_a_connection_in_use_is_closed_when_it_is_given_back_to_a_closed_database(database: Database) -> None:
    closed: list[Any] = []
    event.listen(database.engine.pool, "close", lambda connection, _: closed.append(connection))
    with database.read() as session:
        session.execute(text("SELECT 1"))
        held = session.connection().connection.dbapi_connection
        # As a service that ends while one of its threads still reads.
        database.close()
        assert held not in closed
        session.execute(text("SELECT 1"))
    assert held in closed
