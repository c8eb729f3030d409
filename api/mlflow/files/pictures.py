"""Pictures among the artifacts: MLflow's `log_image(key=…, step=…)` becomes the timeline, or a series."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from api.mlflow.runs.jobs import append_now
from api.server.database.mlflow_tables import MlflowRun
from api.server.database.models import Job, RunFile, Sample
from ganlib.events import Event, FileSaved, SampleGridSaved, StoredFile

# MLflow 3.17 joins with `+` and writes `~` for a slash of the key; earlier releases joined with `%` and wrote `#`.
_LOGGED = re.compile(
    r"images/(?P<key>.+?)(?P<join>[+%])step(?P=join)(?P<step>\d{1,9})(?P=join)timestamp(?P=join)\d+(?P=join)[0-9a-f-]+"
    r"(?P<small>(?P=join)compressed)?\.(?:png|webp)"
)
# Files that a loop numbers itself: fake_00100.png, samples/epoch_001.png.
_NUMBERED = re.compile(
    r"(?P<key>[^\d].*?)[-_ /]?(?:epoch|step|iter|iteration)?[-_ ]?0*(?P<step>\d{1,9})\.png", re.I | re.S
)
_GENERATED = re.compile(r"(?:^|[^a-z])(?:samples?|grids?|generated|generations?|fakes?)(?:$|[^a-z])", re.I)
_MAX_SIDE = 4096
_SERIES = "images/{key}/{step:08d}.png"


@dataclass(frozen=True)
class Picture:
    """One picture of a series, in pixels. is_logged: by `log_image` with a key, not under an own name."""

    key: str
    step: int
    width: int
    height: int
    is_logged: bool

    @property
    def is_generated(self) -> bool:
        """Whether the key says that a generator drew it."""
        return _GENERATED.search(self.key) is not None


def read_picture(name: str, width: int, height: int) -> Picture | None:
    """Return the picture that a PNG of this name and size is, None for one of no series."""
    if match := _LOGGED.fullmatch(name):
        key = match["key"].replace("~", "/").replace("#", "/")
        return None if match["small"] else Picture(key, int(match["step"]), width, height, is_logged=True)
    match = _NUMBERED.fullmatch(name)
    picture = Picture(match["key"], int(match["step"]), width, height, is_logged=False) if match else None
    return picture if picture is not None and picture.is_generated else None


def note_file(session: Session, job_id: str, name: str, sha256: str, size: int, picture: Picture | None) -> None:
    """Show a run's artifact on the job's page: as a grid of the timeline, a picture of a series, or a file."""
    file = StoredFile(path=f"mlflow/{sha256}", sha256=sha256, size=size)
    events: list[Event] = []
    if picture is None:
        # The small copy that MLflow's own pages show beside each logged picture is of no use here.
        if _LOGGED.fullmatch(name) is None:
            events += _save_file(name, 0, file, "application/octet-stream")
    else:
        is_timeline = max(picture.width, picture.height) <= _MAX_SIDE and _take_timeline(session, job_id, picture)
        if is_timeline:
            events.append(_save_grid(picture, file))
        if not picture.is_logged:
            events += _save_file(name, picture.step, file, "image/png")
        elif not is_timeline:
            events += _save_file(
                _SERIES.format(key=picture.key, step=picture.step), picture.step, file, "image/png"
            )
    if events:
        append_now(session, job_id, events)


def forget_files(session: Session, job_id: str, gone: Mapping[str, str]) -> None:
    """Take deleted artifacts from the job's page; gone: sha256 by name."""
    hashes = set(gone.values())
    is_picture = RunFile.sha256.in_(hashes) & RunFile.name.startswith("images/", autoescape=True)
    session.execute(delete(RunFile).where(RunFile.job_id == job_id, or_(RunFile.name.in_(list(gone)), is_picture)))
    session.execute(delete(Sample).where(Sample.job_id == job_id, Sample.sha256.in_(hashes)))
    _find_newest(session, job_id)


def _take_timeline(session: Session, job_id: str, picture: Picture) -> bool:
    """Return whether the picture belongs to the job's timeline.

    The first series is the timeline, until one comes whose key says that a generator drew it.
    """
    run = session.get_one(MlflowRun, job_id, with_for_update=True)
    if run.timeline_key == picture.key:
        return True
    if run.timeline_key is None:
        run.timeline_key = picture.key
        return True
    if not picture.is_generated or _GENERATED.search(run.timeline_key):
        return False
    _move_to_series(session, job_id, run.timeline_key)
    run.timeline_key = picture.key
    return True


def _move_to_series(session: Session, job_id: str, key: str) -> None:
    """Make the grids of the timeline an ordinary series."""
    rows = session.scalars(select(Sample).where(Sample.job_id == job_id).order_by(Sample.iteration)).all()
    events: list[Event] = []
    for row in rows:
        file = StoredFile(path=f"mlflow/{row.sha256}", sha256=row.sha256, size=0)
        events += _save_file(_SERIES.format(key=key, step=row.iteration), row.iteration, file, "image/png")
    if events:
        append_now(session, job_id, events)
    session.execute(delete(Sample).where(Sample.job_id == job_id))
    _find_newest(session, job_id)


def _find_newest(session: Session, job_id: str) -> None:
    newest = select(Sample.id).where(Sample.job_id == job_id).order_by(Sample.iteration.desc()).limit(1)
    session.execute(update(Job).where(Job.id == job_id).values(newest_sample_id=newest.scalar_subquery()))


def _save_grid(picture: Picture, file: StoredFile) -> SampleGridSaved:
    """Return a grid of one cell: how a picture is divided is not known."""
    return SampleGridSaved(
        iteration=picture.step,
        file=file,
        rows=1,
        columns=1,
        cell_width=picture.width,
        cell_height=picture.height,
        latents_sha256=None,
    )


def _save_file(name: str, iteration: int, file: StoredFile, media_type: str) -> list[Event]:
    try:
        return [FileSaved(iteration=iteration, name=name, file=file, media_type=media_type)]
    except ValidationError:
        # A name that Ganvas does not show; MLflow's client finds the artifact all the same.
        return []
