"""Tables of several runs: metrics at one position with the best run of each, and facts of each run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from api.curves.extractors import NEVER_COMPARED
from api.curves.schemas import Curve
from api.jobs.schemas import JobRead
from dashboard.compare.axis import Track
from dashboard.web.commit_links import find_commit_url, short_commit
from dashboard.web.formats import NOTHING, show_count, show_duration, show_moment, show_number
from dashboard.web.layout import (
    ORIGIN_WORDS,
    STATE_WORDS,
    Figure,
    figure_of,
    find_verdict,
    seconds_taken,
    show_progress,
)
from ganlib.vocabulary import BETTER_WORDS, Better, Metric, find_metric


@dataclass(frozen=True)
class NumberCell:
    """One run's value at the position and its best value of all, and whether each is the best of all runs.

    of: the iteration of the value's point, where the position lies at least one after it. change: the difference
    from the baseline's value, empty without one.
    """

    here: Figure
    of: str
    is_best_here: bool
    best: str
    best_exact: str
    is_best: bool
    change: str = ""


@dataclass(frozen=True)
class NumberRow:
    """One metric, a cell for each run."""

    metric: Metric
    direction: str
    cells: list[NumberCell]


Point = tuple[int, float]


def build_numbers(
    metrics: Sequence[str],
    curves: Sequence[Mapping[str, Curve]],
    points: Sequence[Mapping[str, Point]],
    until: Sequence[float],
    baseline: int | None = None,
) -> list[NumberRow]:
    """Return the metrics' values.

    For each run, by metric: `curves` with every extreme, and `points`, the last ones up to the iteration `until`.
    baseline: the place of the run from which the others' differences are shown.
    """
    return [
        _row(
            find_metric(name),
            [run.get(name) for run in curves],
            [run.get(name) for run in points],
            until,
            baseline,
        )
        for name in metrics
    ]


def _row(
    metric: Metric,
    curves: Sequence[Curve | None],
    points: Sequence[Point | None],
    until: Sequence[float],
    baseline: int | None,
) -> NumberRow:
    direction = metric.better
    here = [point[1] if point else None for point in points]
    best = [_best_of(curve, direction) for curve in curves]
    first_here = _winner(here, direction)
    first = _winner([value for value, _ in best], direction)
    return NumberRow(
        metric,
        BETTER_WORDS[direction],
        [
            NumberCell(
                here=figure_of(value),
                of=show_count(point[0]) if point and point[0] <= last - 1 else "",
                is_best_here=first_here is not None and value == first_here,
                best=f"{figure_of(top).text} at {show_count(iteration)}" if top is not None else "",
                best_exact=figure_of(top).exact if top is not None else "",
                is_best=first is not None and top == first,
                change=_show_change(value, here[baseline]) if baseline not in (None, place) else "",
            )
            for place, (value, point, last, (top, iteration)) in enumerate(
                zip(here, points, until, best, strict=True)
            )
        ],
    )


def _show_change(value: float | None, of: float | None) -> str:
    """Return how far a value is from the baseline's: +0.12, −3.40, or the same; empty where one is missing."""
    if value is None or of is None or not math.isfinite(value - of):
        return ""
    change = value - of
    return f"{'+' if change > 0 else ''}{show_number(change)}" if change else "the same"


def _best_of(curve: Curve | None, direction: Better) -> tuple[float | None, int]:
    """Return a run's best value and the first iteration that has it."""
    points = zip(curve.values, curve.iterations, strict=True) if curve and direction else ()
    finite = [(value, iteration) for value, iteration in points if math.isfinite(value)]
    if not finite:
        return None, 0
    sign = -1 if direction == "higher" else 1
    return min(finite, key=lambda point: (sign * point[0], point[1]))


def _winner(values: Sequence[float | None], direction: Better) -> float | None:
    """Return the best of these values; nothing where fewer than two can be compared, or all are equal."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not direction or len(known) < 2 or min(known) == max(known):
        return None
    return max(known) if direction == "higher" else min(known)


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
        FactRow("Verdict", False, [_verdict(job) for job in jobs]),
        *_list_origins(jobs),
        FactRow("State", False, [FactCell(STATE_WORDS[job.state]) for job in jobs]),
        FactRow("Iterations", True, [FactCell(show_progress(job)) for job in jobs]),
        FactRow("Images seen", True, [_images_seen(track) for track in tracks]),
        FactRow("Duration", True, [_duration(job, now) for job in jobs]),
        FactRow("Attempts", True, [FactCell(str(job.attempt)) for job in jobs]),
        FactRow("Commit", False, [_commit(job) for job in jobs]),
        FactRow("Computed on", False, [_computed_on(job) for job in jobs]),
        FactRow("Created", False, [FactCell(show_moment(job.created_at)) for job in jobs]),
        FactRow("Fixed latents", False, [_latents(track) for track in tracks]),
    ]


def _list_origins(jobs: Sequence[JobRead]) -> list[FactRow]:
    """Return who writes the runs, where one is not trained from a spec."""
    if all(job.origin == "ganlib" for job in jobs):
        return []
    return [FactRow("Written by", False, [FactCell(ORIGIN_WORDS[job.origin] or "a worker") for job in jobs])]


def _verdict(job: JobRead) -> FactCell:
    verdict = find_verdict(job)
    return FactCell(verdict.text if verdict else NOTHING)


def _images_seen(track: Track) -> FactCell:
    size = track.batch_size
    return FactCell(NOTHING if size is None else show_count(track.job.iteration * size))


def describe_extractors(names: Mapping[str, str], incomparable: Mapping[str, Sequence[str]]) -> list[str]:
    """Say that evaluation metrics are left out, and what each run's are by; nothing where they compare."""
    if not incomparable:
        return []
    said = [
        f"{names[job_id]}: {' Later: '.join(texts) or 'it is not recorded what its evaluation metrics are by.'}"
        for job_id, texts in incomparable.items()
    ]
    return [f"Evaluation metrics are left out: they are {NEVER_COMPARED}.", *said]


def describe_threads(jobs: Sequence[JobRead]) -> str:
    """Say that runs of equal specs are not identical, where their numbers of threads differ; else empty."""
    counts = [sorted({each.provenance.threads or 0 for each in job.attempts}) for job in jobs]
    if all(len(own) == 1 and own == counts[0] for own in counts):
        return ""
    shown = " and ".join(dict.fromkeys(_show_threads(own) for own in counts))
    return (
        f"Computed with {shown}: on a CPU these runs are not identical, for sums differ in their last bits."
        if all(counts)
        else ""
    )


def _show_threads(counts: Sequence[int]) -> str:
    return " then ".join(
        f"{count} thread{'' if count == 1 else 's'}" if count else "an unrecorded number of threads"
        for count in counts
    )


def _computed_on(job: JobRead) -> FactCell:
    if not job.attempts:
        return FactCell(NOTHING)
    ran = job.attempts[-1].provenance
    threads = f", {_show_threads([ran.threads])}" if ran.threads else ""
    return FactCell(f"{ran.device or NOTHING}{threads}")


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
