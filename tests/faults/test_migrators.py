"""Several processes that bring one empty database up to date at once, as replicas do that start together."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from api.server.database.engine import HEAD_REVISION, build_database, find_revision
from api.server.database.models import Base
from api.server.settings import Settings
from tests.faults.conftest import long_or_short
from tests.support.faults.machines import is_alive, wait_until
from tests.support.faults.postgres import run_postgres


@contextmanager
def empty_databases(kind: str) -> Iterator[list[str]]:
    """Give the address of an empty database for each round; nothing stands for SQLite, in a new folder."""
    rounds = long_or_short(50, 3)
    if kind == "SQLite":
        yield [""] * rounds
        return
    with run_postgres() as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            for turn in range(rounds):
                connection.execute(f"CREATE DATABASE round_{turn}")
        yield [server.url.replace("/postgres?", f"/round_{turn}?") for turn in range(rounds)]


@pytest.mark.parametrize("kind", ["SQLite", "PostgreSQL"])
def test_several_migrators_at_once_leave_one_database(starter, tmp_path: Path, say, kind: str) -> None:
    together = 4
    with empty_databases(kind) as urls:
        for turn, url in enumerate(urls):
            home = tmp_path / f"home-{turn}"
            done = [tmp_path / f"done-{turn}-{index}" for index in range(together)]
            environment = {"GANVAS_DATABASE_URL": url}
            pids = [starter.start("tests.migrate", home, path, environment=environment) for path in done]
            wait_until(lambda pids=pids: not any(is_alive(pid) for pid in pids))
            assert all(path.exists() for path in done)
            database = build_database(Settings(home=home, database_url=url))
            assert find_revision(database.engine) == HEAD_REVISION
            with database.engine.connect() as connection:
                for table in Base.metadata.sorted_tables:
                    assert connection.execute(table.select()).all() == []
            database.close()
    say(
        f"{together} processes bring one empty database up to date at once, {kind}",
        len(urls),
        "all end well; one schema, at the newest revision",
        f"{len(urls) * together} processes ended well",
    )
