"""The tables that migrations make are those of the models, and two processes may migrate at once."""

import threading
from pathlib import Path

import pytest
from alembic import autogenerate, command
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text

from api.events import log, watermark
from api.events.log import insert_service_events
from api.jobs import queries as job_queries
from api.server.database import engine as engine_module
from api.server.database import migrations
from api.server.database.engine import Database, build_engine, migrate
from api.server.database.migrations import build_config
from api.server.database.models import Base
from api.server.settings import Settings
from tests.support.services import add_claimed_job, add_job


def test_migrations_make_the_tables_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert autogenerate.compare_metadata(context, Base.metadata) == []


def test_the_lists_indexes_hold_only_what_is_listed_and_one_only_what_was_deleted(database: Database) -> None:
    conditions = {
        index["name"]: index["dialect_options"].get(f"{database.engine.dialect.name}_where")
        for index in inspect(database.engine).get_indexes("jobs")
    }
    partial = {name: str(where).strip("()") for name, where in conditions.items() if where is not None}
    sorts = ("created_at", "name", "state", "iteration", "iterations")
    listed = {f"ix_jobs_{column}_id": "deleted_at IS NULL" for column in sorts}
    assert partial == {**listed, "ix_jobs_deleted_at": "deleted_at IS NOT NULL"}


def test_the_newest_step_is_the_one_that_a_start_looks_for(sqlite: Database) -> None:
    with sqlite.engine.connect() as connection:
        script = ScriptDirectory.from_config(build_config(connection))
    assert script.get_heads() == [engine_module.HEAD_REVISION]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a database without any table."""
    if request.param == "sqlite":
        return Settings(home=tmp_path)
    url: str = request.getfixturevalue("postgresql_url")
    admin = create_engine(Settings(database_url=url).sqlalchemy_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS fresh"))
        connection.execute(text("CREATE DATABASE fresh"))
    admin.dispose()
    return Settings(database_url=url.replace("/postgres?", "/fresh?"))


def test_two_processes_may_migrate_at_once(empty: Settings) -> None:
    engines = [build_engine(empty) for _ in range(4)]
    failures: list[BaseException] = []

    def run(engine: Engine) -> None:
        try:
            migrate(engine)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with engines[0].connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).all() == [
            (engine_module.HEAD_REVISION,)
        ]
        assert connection.execute(text("SELECT count(*) FROM jobs")).scalar() == 0
    for engine in engines:
        engine.dispose()


def test_an_up_to_date_database_is_left_alone(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "begin", lambda _: pytest.fail("a migration began"))
    monkeypatch.setattr(migrations, "build_config", lambda _: pytest.fail("a migration began"))
    migrate(sqlite.engine)


def test_a_table_that_is_made_anew_takes_no_row_along_that_refers_to_it(database: Database) -> None:
    with database.write() as session:
        job_id = add_claimed_job(session).id
        before = log.list_batches(session, job_id, 0, 10)
    for revision in ("0001", engine_module.HEAD_REVISION):
        migrate(database.engine, revision)
    with database.read() as session:
        assert log.list_batches(session, job_id, 0, 10) == before != []
        if database.engine.dialect.name == "sqlite":
            assert session.scalar(text("PRAGMA foreign_keys")) == 1


@pytest.mark.durable
def test_sqlite_is_set_up_to_lose_nothing(sqlite: Database) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
    with sqlite.engine.connect() as connection:
        found = {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in wanted}
    assert found == wanted


def test_a_read_sees_one_moment_however_many_queries_it_makes(database: Database) -> None:
    count = text("SELECT count(*) FROM artifacts")
    now = "2026-01-01 00:00:00"
    with database.read() as reader:
        assert reader.scalar(count) == 0
        with database.write() as writer:
            row = f"INSERT INTO artifacts VALUES ('{'a' * 64}', 1, 'image/png', '{now}')"  # noqa: S608
            writer.execute(text(row))
        assert reader.scalar(count) == 0
    with database.read() as reader:
        assert reader.scalar(count) == 1


def test_the_tables_go_down_a_step_and_up_again_with_their_rows(database: Database) -> None:
    with database.write() as session:
        job_id = add_job(session).id
    with database.engine.begin() as connection:
        command.downgrade(build_config(connection), "0003")
        assert MigrationContext.configure(connection).get_current_revision() == "0003"
    migrate(database.engine)
    with database.read() as session:
        assert job_queries.get_job(session, job_id).name == "tiny"


def test_event_ids_are_never_given_twice_after_a_step_down_and_up(database: Database) -> None:
    with database.write() as session:
        job_id = add_claimed_job(session).id
        before = log.list_batches(session, job_id, 0, 10)
    with database.engine.begin() as connection:
        command.downgrade(build_config(connection), "0005")
        assert connection.execute(text("SELECT digests FROM event_batches")).scalars().first() == b""
    migrate(database.engine)
    with database.write() as session:
        assert log.list_batches(session, job_id, 0, 10) == before
        session.execute(text("DELETE FROM event_batches"))
        insert_service_events(session, job_queries.get_job(session, job_id), {"kind": "state_changed"})
    assert watermark.find_watermark(database) > before[-1].id


def test_the_line_about_the_evaluation_of_an_older_run_is_found(database: Database) -> None:
    with database.write() as session:
        job_id = add_job(session).id
    with database.engine.begin() as connection:
        command.downgrade(build_config(connection), "0009")
        for line in ("The eval figures are of 48 samples each, by a judge.", "Something else."):
            values = {"job_id": job_id, "line": line, "at": "2026-01-01 00:00:00"}
            row = "VALUES (:job_id, 1, 0, 'info', :line, :at)"
            insert = f"INSERT INTO log_lines (job_id, attempt, iteration, level, text, at) {row}"
            connection.execute(text(insert), values)
    migrate(database.engine)
    with database.read() as session:
        found = session.execute(text("SELECT about FROM log_lines ORDER BY id")).scalars().all()
    assert found == ["evaluation", None]
