"""Is everything there that Ganvas needs? Each check is one function that returns one finding."""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from api.settings import Settings

GIB = 1_073_741_824
LOW_BYTES, WARN_BYTES = GIB, 10 * GIB
SKEW_SECONDS = 2.0


@dataclass(frozen=True)
class Finding:
    """What one check found; advice says what to do where it is not `ok`."""

    check: str
    state: Literal["ok", "warning", "failed"]
    text: str
    advice: str = ""


def run_checks(settings: Settings) -> list[Finding]:
    """Return a finding for each check; a check that breaks is one that failed."""
    return [_guard(check, settings) for check in CHECKS]


def check_versions(settings: Settings) -> Finding:
    """Python and the packages that runs depend on."""
    found = []
    for package in ("ganvas", "torch", "fastapi", "sqlalchemy", "celery"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return Finding("versions", "ok", f"Python {platform.python_version()}, {', '.join(found)}")


def check_disk(settings: Settings) -> Finding:
    """Room below the data folder, and whether it can be written."""
    home = settings.home.expanduser().resolve()
    home.mkdir(parents=True, exist_ok=True)
    probe = home / f".doctor-{os.getpid()}"
    probe.write_bytes(b"x")
    probe.unlink()
    free = shutil.disk_usage(home).free
    text = f"{free / GIB:.1f} GiB free in {home}"
    if free < LOW_BYTES:
        return Finding("disk", "failed", text, "free some space: a full disk stops uploads (507), reading goes on")
    if free < WARN_BYTES:
        return Finding(
            "disk", "warning", text, "checkpoints are large; watch the space, or lower checkpoints_kept"
        )
    return Finding("disk", "ok", text)


def check_database(settings: Settings) -> Finding:
    """The database answers, and its tables are up to date."""
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
        text = f"{backend}: tables of revision {revision}, this version wants {HEAD_REVISION}"
        advice = "start the service of this version once: it brings them up to date; back up before"
        return Finding("database", "warning" if revision < HEAD_REVISION else "failed", text, advice)
    return Finding("database", "ok", f"{backend}, revision {revision}")


def check_clock(settings: Settings) -> Finding:
    """Leases live on the database's clock; people read times by this machine's."""
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


def check_blobs(settings: Settings) -> Finding:
    """Files that the database names are there."""
    from sqlalchemy import func, select

    from api.server.database.engine import build_database, find_revision
    from api.server.database.models import Artifact
    from api.server.services import build_blobs

    database = build_database(settings)
    try:
        if find_revision(database.engine) is None:
            return Finding("files", "ok", "none yet")
        blobs = build_blobs(settings)
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
    return Finding("files", "ok", f"{count:,} known, the newest 200 are there")


def check_broker(settings: Settings) -> Finding:
    """Wake-ups can be sent."""
    from api.server.broker.celery import build_broker

    broker = build_broker(settings.broker_url, settings.home.expanduser().resolve())
    try:
        with broker.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=3)
            where = connection.as_uri()
    except Exception as error:
        # Whatever the transport raises: kombu has no common base.
        advice = (
            "start it, or correct GANVAS_BROKER_URL; until then workers look for jobs every 30 s by themselves"
        )
        return Finding("broker", "failed", f"it cannot be reached: {error}", advice)
    finally:
        broker.close()
    return Finding("broker", "ok", "files in the data folder" if "files" in where else where)


def check_gpu(settings: Settings) -> Finding:
    """The driver's cards, and whether torch finds them."""
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


def check_data(settings: Settings) -> Finding:
    """Where data sets are looked for."""
    folder = os.environ.get("GANVAS_DATA")
    if folder and not Path(folder).is_dir():
        text = f"GANVAS_DATA names {folder}, which is no folder"
        return Finding("data", "failed", text, "correct it, or unset it: MNIST and CIFAR-10 are then downloaded")
    return Finding("data", "ok", folder or "~/.cache/ganvas/data (MNIST and CIFAR-10 are downloaded)")


CHECKS: tuple[Callable[[Settings], Finding], ...] = (
    check_versions, check_disk, check_database, check_clock, check_blobs, check_broker, check_gpu, check_data,
)  # fmt: skip


def _guard(check: Callable[[Settings], Finding], settings: Settings) -> Finding:
    try:
        return check(settings)
    except Exception as error:
        # A doctor who dies of the first finding helps nobody.
        name = check.__name__.removeprefix("check_")
        return Finding(name, "failed", f"{type(error).__name__}: {error}"[:300], "the message says what broke")
