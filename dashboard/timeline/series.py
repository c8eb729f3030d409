"""Series of pictures that somebody's own loop saves beside its grids: `images/<series>/<iteration>.png`."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.artifacts.queries import artifact_url
from api.server.database.models import RunFile
from dashboard.timeline.sheet_layout import evenly_spaced
from dashboard.web.formats import show_count

FOLDER = "images/"
# As many as lie side by side on a wide screen.
SHOWN_PICTURES = 20
MOST_PICTURES = 50_000
_PICTURE = re.compile(r"images/(?P<key>.+)/(?P<iteration>[0-9]{1,10})\.png", re.ASCII)


@dataclass(frozen=True)
class Picture:
    """One picture of a series."""

    key: str
    iteration: int
    sha256: str


@dataclass(frozen=True)
class PictureFrame:
    """A small picture of the strip, and the page at its iteration."""

    iteration: int
    label: str
    href: str
    url: str
    is_current: bool


@dataclass(frozen=True)
class SeriesView:
    """One series: the picture of the timeline's iteration or the newest before it, and a strip of some."""

    name: str
    url: str
    alt: str
    label: str
    note: str
    frames: Sequence[PictureFrame]


def list_pictures(session: Session, job_id: str) -> list[Picture]:
    """Return the pictures of a run's series, by series and iteration."""
    named = (RunFile.job_id == job_id, RunFile.name.startswith(FOLDER, autoescape=True))
    query = select(RunFile.name, RunFile.sha256).where(*named, RunFile.media_type == "image/png")
    rows = session.execute(query.order_by(RunFile.name).limit(MOST_PICTURES))
    found = [(match, sha256) for name, sha256 in rows if (match := _PICTURE.fullmatch(name))]
    pictures = [Picture(match["key"], int(match["iteration"]), sha256) for match, sha256 in found]
    return sorted(pictures, key=lambda picture: (picture.key, picture.iteration))


def build_series(job_id: str, pictures: Sequence[Picture], at: int | None) -> list[SeriesView]:
    """Return each series at this iteration, or at its newest picture."""
    by_key: dict[str, list[Picture]] = {}
    for picture in pictures:
        by_key.setdefault(picture.key, []).append(picture)
    return [_build(job_id, key, own, at) for key, own in by_key.items()]


def _build(job_id: str, key: str, pictures: Sequence[Picture], at: int | None) -> SeriesView:
    current = len(pictures) - 1 if at is None else max(0, _newest_until(pictures, at))
    shown = sorted({*evenly_spaced(len(pictures), SHOWN_PICTURES), current})
    label = show_count(pictures[current].iteration)
    return SeriesView(
        name=key,
        url=artifact_url(pictures[current].sha256),
        alt=f"{key} at iteration {label}",
        label=label,
        note=f"{show_count(current + 1)} of {show_count(len(pictures))}",
        frames=[
            PictureFrame(
                iteration=pictures[index].iteration,
                label=show_count(pictures[index].iteration),
                href=f"/runs/{job_id}?iteration={pictures[index].iteration}#images",
                url=artifact_url(pictures[index].sha256),
                is_current=index == current,
            )
            for index in shown
        ],
    )


def _newest_until(pictures: Sequence[Picture], at: int) -> int:
    return bisect_right(pictures, at, key=lambda picture: picture.iteration) - 1
