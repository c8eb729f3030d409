"""The checks of `ganvas doctor`: each is one function that returns one finding.

They look at the service that the other commands would use, and at the folder of data behind it where that is on
this machine.
"""

import os
import platform
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from api import find_version
from api.client.client import Client
from api.errors import NotAuthenticated, ServiceError
from api.server.files import make_private

if TYPE_CHECKING:
    from api.server.settings import Settings

State = Literal["ok", "warning", "failed"]
Place = TypeVar("Place")
MIB, GIB = 1_048_576, 1_073_741_824
LOW_BYTES, WARN_BYTES = GIB, 10 * GIB
SKEW_SECONDS = 2.0
WARN_FREE_BYTES = 100 * MIB
DAY_SECONDS = 86_400.0
# The service purges once an hour.
OVERDUE_SECONDS = 7200.0


@dataclass(frozen=True)
class Finding:
    """The result of one check; advice says what to do if it is not `ok`."""

    check: str
    state: State
    text: str
    advice: str = ""


@dataclass(frozen=True)
class Subject:
    """The service that is looked at, and the settings of its folder where that is on this machine.

    url: its address; None where no service of this machine wrote one. is_named: whether the address was given.
    """

    url: str | None
    is_named: bool
    settings: "Settings | None"


def run_checks(subject: Subject) -> list[Finding]:
    """Return a finding for each check that is possible here; a check that raises has failed."""
    findings = [_guard(check, subject) for check in CHECKS]
    home = None if subject.settings is None else subject.settings.home.expanduser()
    if home is not None and not home.exists():
        # Looking into it would make it, and call an empty one well.
        text, advice = f"there is no folder {home}", "`ganvas up` makes it; if there were runs: name their folder"
        findings.append(Finding("folder", "warning", text, f"{advice} with --data-dir or GANVAS_HOME"))
    elif subject.settings is not None:
        findings += [_guard(check, subject.settings) for check in LOCAL_CHECKS]
    return findings


def answers(url: str) -> bool:
    """Return whether a service answers at this address."""
    with Client(url) as client:
        try:
            client.health()
        except ServiceError:
            return False
    return True


def check_service(subject: Subject) -> Finding:
    """Ask the service whether it is up, of which version, and whether it takes the token."""
    start = "start one with `ganvas up`, or name another: --url or GANVAS_URL"
    if subject.url is None:
        return Finding("service", "warning", "none runs on this machine, and no other is named", start)
    with Client(subject.url) as client:
        url = client.url
        try:
            health = client.health()
        except ServiceError as error:
            return Finding("service", "failed" if subject.is_named else "warning", error.text, start)
        try:
            client.list_page(limit=1)
        except NotAuthenticated:
            state: State = "failed" if os.environ.get("GANVAS_TOKEN") else "warning"
            return Finding("service", state, f"{url} answers, but needs a valid token", "set GANVAS_TOKEN to one")
        except ServiceError as error:
            return Finding("service", "failed", f"{url}: {error.text}", "its log has the details")
    counts = f"{health.jobs_queued:,} queued, {health.jobs_running:,} running"
    text = f"{url} answers: version {health.version}, {counts}"
    if subject.settings is None:
        text += "; its database, files and broker are for `ganvas doctor` on its own machine"
    if health.version != find_version():
        advice = f"here is version {find_version()}; install the same on both"
        return Finding("service", "warning", text, advice)
    return Finding("service", "ok", text)


def check_versions(_: Subject) -> Finding:
    """List the versions of Python and of the packages that matter."""
    versions = []
    for package in ("ganvas", "torch", "fastapi", "sqlalchemy", "celery"):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return Finding("versions", "ok", f"Python {platform.python_version()}, {', '.join(versions)}")


def check_disk(settings: "Settings") -> Finding:
    """Check the free space of the data folder, and that it can be written."""
    home = settings.home.expanduser().resolve()
    make_private(home)
    probe = home / f".doctor-{os.getpid()}"
    probe.write_bytes(b"x")
    probe.unlink()
    free = shutil.disk_usage(home).free
    text = f"{free / GIB:.1f} GiB free in {home}"
    if free < LOW_BYTES:
        return Finding(
            "disk",
            "failed",
            text,
            "free some space: nothing can be stored (507) and workers take no runs; reading still works",
        )
    if free < WARN_BYTES:
        return Finding(
            "disk", "warning", text, "checkpoints are large; watch the space, or lower checkpoints_kept"
        )
    return Finding("disk", "ok", text)


def check_database(settings: "Settings") -> Finding:
    """Check that the database answers and that its tables are up to date."""
    from api.server.database.engine import HEAD_REVISION, build_engine, find_revision

    engine = build_engine(settings)
    try:
        revision = find_revision(engine)
        backend = engine.dialect.name
    finally:
        engine.dispose()
    if revision is None:
        return Finding("database", "warning", f"{backend}: no tables yet", "the service makes them when it starts")
    if revision != HEAD_REVISION:
        text = f"{backend}: tables of revision {revision}, this version needs {HEAD_REVISION}"
        if revision > HEAD_REVISION:
            advice = "start the newer version, or restore a backup from before the upgrade into an empty folder"
            return Finding("database", "failed", text, advice)
        advice = "start the service of this version once: it brings them up to date; run `ganvas backup` before"
        return Finding("database", "warning", text, advice)
    return Finding("database", "ok", f"{backend}, revision {revision}")


def check_sqlite(settings: "Settings") -> Finding:
    """Check that SQLite, where it is the database, is without its known fault."""
    library = sqlite3.sqlite_version
    if settings.sqlite_path is None:
        return Finding("sqlite", "ok", "not used: the database is another one")
    if not has_wal_reset_fault(sqlite3.sqlite_version_info):
        return Finding("sqlite", "ok", f"SQLite {library}")
    text = f"SQLite {library} has a fault that can damage a database in rare moments (WAL reset, before 3.51.3)"
    advice = (
        "use a Python whose SQLite is 3.51.3 or newer (3.50.7, 3.44.6), or PostgreSQL; keep backups until then"
    )
    return Finding("sqlite", "warning", text, advice)


def has_wal_reset_fault(version: tuple[int, ...]) -> bool:
    """Return whether this version of SQLite has the WAL-reset fault: 3.7.0 to 3.51.2, but for two mended ones.

    https://sqlite.org/wal.html#walresetbug
    """
    is_mended = any(version[:2] == mended[:2] and version >= mended for mended in ((3, 50, 7), (3, 44, 6)))
    return (3, 7, 0) <= version < (3, 51, 3) and not is_mended


def check_space(settings: "Settings") -> Finding:
    """Check that deleted jobs are purged, and say how much of SQLite's file holds nothing."""
    from api.jobs.edits import list_purgeable
    from api.server.database.engine import HEAD_REVISION, build_database, find_revision
    from api.server.database.space import read_space
    from api.server.operations.housekeeping import Returned, read_record

    record = read_record(settings.home.expanduser().resolve())
    database = build_database(settings)
    try:
        if find_revision(database.engine) != HEAD_REVISION:
            return Finding("space", "ok", "not looked at: there are no tables of this version")
        with database.read() as session:
            overdue = len(list_purgeable(session, settings.deleted_kept_days * DAY_SECONDS + OVERDUE_SECONDS))
        space = read_space(database)
    finally:
        database.close()
    told = ["PostgreSQL reuses what deleted runs leave"] if space is None else []
    if space is not None:
        told.append(f"{space.free / MIB:.1f} of the database's {space.size / MIB:.1f} MiB hold nothing")
    if "returned" in record:
        told.append(f"housekeeping of {record['returned_at']} removed {Returned(**record['returned'])}")
    text = "; ".join(told)
    if overdue:
        return Finding(
            "space", "warning", f"{overdue}+ deleted runs are overdue; {text}", "is the service running?"
        )
    if space is not None and space.free > WARN_FREE_BYTES and not space.is_incremental:
        advice = (
            "it is returned while no job runs; if that never comes, stop the service: ganvas migrate --compact"
        )
        return Finding("space", "warning", text, advice)
    return Finding("space", "ok", text)


def check_clock(settings: "Settings") -> Finding:
    """Compare the database's clock, which leases use, with this machine's, which people read."""
    from sqlalchemy import select

    from api.server.database.clock import database_now
    from api.server.database.engine import build_engine

    engine = build_engine(settings)
    try:
        with engine.connect() as connection:
            theirs: datetime = connection.execute(select(database_now())).scalar_one()
    finally:
        engine.dispose()
    skew = abs((datetime.now(UTC) - theirs).total_seconds())
    text = f"{skew:.1f} s between this machine and the database"
    if skew > SKEW_SECONDS:
        return Finding("clock", "warning", text, "let NTP set both clocks; leases are safe, but times look wrong")
    return Finding("clock", "ok", text)


def check_files(settings: "Settings") -> Finding:
    """Check that the files in the database exist."""
    from sqlalchemy import func, select

    from api.server.database.engine import build_database, find_revision
    from api.server.database.models import Artifact
    from api.server.services import build_blobs

    database = build_database(settings)
    try:
        if find_revision(database.engine) is None:
            return Finding("files", "ok", "none yet")
        blobs = build_blobs(settings)
        # A store that is away says so here, also when nothing was stored yet.
        next(blobs.list_older(0.0), None)
        with database.read() as session:
            count = session.scalar(select(func.count()).select_from(Artifact)) or 0
            newest = session.scalars(select(Artifact.sha256).order_by(Artifact.created_at.desc()).limit(200))
            missing = [sha256 for sha256 in newest if not blobs.exists(sha256)]
    finally:
        database.close()
    if missing:
        where = settings.blobs_url or settings.blobs_dir
        text = f"{len(missing)} of the newest files are missing in {where}"
        return Finding("files", "failed", text, "was the data folder moved without its blobs? restore them")
    checked = "the newest 200" if count > 200 else "all"
    return Finding("files", "ok", f"{count:,} known, {checked} are there" if count else "none yet")


def check_broker(settings: "Settings") -> Finding:
    """Check that the broker can be reached."""
    from api.server.broker.celery import build_broker

    broker = build_broker(settings.broker_url, settings.home.expanduser().resolve())
    try:
        with broker.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=3)
            where = connection.as_uri()
    except Exception as error:
        # Transports raise errors of their own; kombu has no common base.
        advice = "start it, or correct GANVAS_BROKER_URL; until then workers look for jobs every few seconds"
        return Finding("broker", "failed", f"it cannot be reached: {error}", advice)
    finally:
        broker.close()
    return Finding("broker", "ok", "files in the data folder" if "files" in where else where)


def check_webhook(settings: "Settings") -> Finding:
    """Check that the last message to the webhook was taken."""
    from api.events.findings.outbox import read_status
    from api.server.database.engine import HEAD_REVISION, build_database, find_revision

    if settings.webhook_url is None:
        return Finding("webhook", "ok", "none is set (GANVAS_WEBHOOK_URL)")
    database = build_database(settings)
    try:
        if find_revision(database.engine) != HEAD_REVISION:
            return Finding("webhook", "ok", "not looked at: there are no tables of this version")
        with database.read() as session:
            status = read_status(session)
    finally:
        database.close()
    delivered = (
        f"the last delivery worked at {status.delivered_at:%Y-%m-%d %H:%M:%S} UTC"
        if status.delivered_at
        else "nothing was delivered yet"
    )
    lost = f"; {status.given_up:,} were given up after a day" if status.given_up else ""
    if status.error is not None:
        text = f"the last try failed: {status.error}; {status.waiting:,} wait; {delivered}{lost}"
        return Finding("webhook", "warning", text, "what waits is tried again for a day; correct the receiver")
    return Finding("webhook", "ok", f"{delivered}; {status.waiting:,} wait{lost}")


def check_gpu(_: Subject) -> Finding:
    """Check that torch finds the GPUs that the driver lists."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return Finding("gpu", "ok", "none here: training runs on the CPU")
    cards = len(listed.splitlines())
    if find_spec("torch") is None:
        return Finding(
            "gpu", "warning", f"{cards} by the driver, but torch is missing", "pip install 'ganvas[train]'"
        )
    import torch

    if not torch.cuda.is_available():
        text = f"{cards} by the driver, but torch {torch.__version__} finds none"
        return Finding("gpu", "failed", text, "install a torch build for this driver; see pytorch.org")
    return Finding("gpu", "ok", f"{torch.cuda.device_count()}: {torch.cuda.get_device_name()}")


def check_data(_: Subject) -> Finding:
    """Check the folder of data sets."""
    folder = os.environ.get("GANVAS_DATA")
    if folder and not Path(folder).is_dir():
        text = f"GANVAS_DATA names {folder}, which is not a folder"
        return Finding("data", "failed", text, "correct it, or unset it: MNIST and CIFAR-10 are then downloaded")
    return Finding("data", "ok", folder or "~/.cache/ganvas/data (MNIST and CIFAR-10 are downloaded)")


CHECKS: tuple[Callable[[Subject], Finding], ...] = (check_versions, check_service, check_gpu, check_data)
# Of a service on this machine, in its folder of data.
LOCAL_CHECKS: tuple[Callable[["Settings"], Finding], ...] = (
    check_disk, check_database, check_sqlite, check_space, check_clock, check_files, check_broker,
    check_webhook,
)  # fmt: skip


def _guard(check: Callable[[Place], Finding], place: Place) -> Finding:
    try:
        return check(place)
    except Exception as error:
        # One broken check must not hide the others.
        name = check.__name__.removeprefix("check_")
        return Finding(name, "failed", f"{type(error).__name__}: {error}"[:300], "the message says what broke")
