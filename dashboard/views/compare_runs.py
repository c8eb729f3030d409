"""Facts of several runs, a row each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from api.schemas import JobRead
from dashboard.formats import NOTHING, show_count, show_duration, show_moment
from dashboard.views.common import STATE_WORDS, seconds_taken, short_commit
from dashboard.views.compare_tracks import Track
from dashboard.views.forge import find_commit_url


@dataclass(frozen=True)
class FactCell:
    """One run's fact: as text, in full, and where it leads, if anywhere."""

    text: str
    exact: str = ""
    href: str = ""


@dataclass(frozen=True)
class FactRow:
    """One fact of all runs."""

    word: str
    is_number: bool
    cells: list[FactCell]


def build_facts(jobs: Sequence[JobRead], tracks: Sequence[Track], now: datetime) -> list[FactRow]:
    """Return what ran, how far, how long, and of which commit."""
    return [
        FactRow("State", False, [FactCell(STATE_WORDS[job.state]) for job in jobs]),
        FactRow(
            "Iterations", True, [FactCell(f"{show_count(j.iteration)} / {show_count(j.iterations)}") for j in jobs]
        ),
        FactRow("Images seen", True, [FactCell(show_count(t.job.iteration * t.batch_size)) for t in tracks]),
        FactRow("Duration", True, [_duration(job, now) for job in jobs]),
        FactRow("Attempts", True, [FactCell(str(job.attempt)) for job in jobs]),
        FactRow("Commit", False, [_commit(job) for job in jobs]),
        FactRow("Created", False, [FactCell(show_moment(job.created_at)) for job in jobs]),
        FactRow("Fixed latents", False, [_latents(track) for track in tracks]),
    ]


def _duration(job: JobRead, now: datetime) -> FactCell:
    seconds = seconds_taken(job, now)
    return FactCell(show_duration(seconds), f"{seconds:.0f} s" if seconds is not None else "")


def _commit(job: JobRead) -> FactCell:
    ran = job.attempts[-1].provenance if job.attempts else None
    changed = " + changes" if ran and ran.diff else ""
    url = find_commit_url(ran.remote, ran.commit) if ran else ""
    return FactCell(short_commit(job.commit) + changed, job.commit or "no commit recorded", url)


def _latents(track: Track) -> FactCell:
    sha256 = track.grids[-1].latents_sha256 if track.grids else track.job.latents_sha256
    return FactCell((sha256 or NOTHING)[:12], sha256 or "not yet drawn")
