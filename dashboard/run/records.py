"""The records of a run: log, newest values, provenance, attempts, checkpoints, and the runs it is related to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from api.artifacts.schemas import RunFileRead
from api.attempts.schemas import AttemptRead
from api.jobs.lineage import Lineage, Relative
from api.jobs.schemas import JobRead
from api.samples.schemas import CheckpointRead, LogLineRead
from api.server.http.schemas import TERMINAL_STATES
from dashboard.charts.references import find_dataset
from dashboard.web.commit_links import find_commit_url, short_commit
from dashboard.web.formats import NOTHING, show_bytes, show_count, show_duration
from dashboard.web.layout import ORIGIN_WORDS, Figure, Moment, figure_of, moment_of, search_href
from dashboard.web.specs import FieldRow, compare_specs
from ganlib.vocabulary import Metric, find_metric

FIELDS_SHOWN = 3
LONGEST_VALUE = 32
SAME_SPEC = "the same spec"


@dataclass(frozen=True)
class LogLineView:
    """One log line; `clock` is its time of day in UTC."""

    at: Moment
    clock: str
    iteration: str
    level: str
    text: str


@dataclass(frozen=True)
class FactView:
    """A word and its value; `exact` is shown on hover, `href` leads to a page elsewhere."""

    word: str
    text: str
    exact: str = ""
    href: str = ""


@dataclass(frozen=True)
class ProvenanceView:
    """The code and machine of an attempt. `tree`: whether the commit alone ran; `diff_href`: the rest, if any."""

    facts: list[FactView]
    versions: list[FactView]
    tree: str
    diff_href: str


@dataclass(frozen=True)
class AttemptView:
    """One attempt of a worker at the run."""

    number: int
    worker: str
    claimed: Moment
    took: str
    end: str
    resumed_from: str
    reason: str


@dataclass(frozen=True)
class CheckpointView:
    """One checkpoint; `generator_url` gives the generator's weights alone, `file` names it on disk.

    is_best: the best judged one of those whose files are kept.
    """

    iteration: str
    attempt: int
    size: str
    created: Moment
    sha256: str
    url: str
    file: str
    generator_url: str
    is_best: bool


# Records of one kind that are seen at once; older ones are folded away.
NEWEST_RECORDS = 10
Record = TypeVar("Record", AttemptView, CheckpointView)


@dataclass(frozen=True)
class RecordsView(Generic[Record]):
    """Records of one kind, the newest first: those seen at once, those folded away, and their number in words."""

    newest: Sequence[Record]
    older: Sequence[Record]
    count: str
    fold: str


def fold_records(records: Sequence[Record]) -> RecordsView[Record]:
    """Return records that are given oldest first."""
    falling = records[::-1]
    newest, older = falling[:NEWEST_RECORDS], falling[NEWEST_RECORDS:]
    count = f"{show_count(len(records))}, newest first" if len(records) > 1 else ""
    return RecordsView(newest, older, count, f"{show_count(len(older))} older" if older else "")


@dataclass(frozen=True)
class MetricView:
    """A metric's newest value."""

    metric: Metric
    value: Figure
    iteration: str


def build_log(lines: list[LogLineRead], now: datetime) -> list[LogLineView]:
    """Return the log's newest lines."""
    return [
        LogLineView(
            moment_of(line.at, now), f"{line.at:%H:%M:%S}", show_count(line.iteration), line.level, line.text
        )
        for line in lines
    ]


def build_metrics(job: JobRead) -> list[MetricView]:
    """Return every metric's newest value, by name."""
    return [
        MetricView(find_metric(name), figure_of(latest.value), show_count(latest.iteration))
        for name, latest in sorted(job.latest.items())
    ]


def build_provenance(job: JobRead) -> ProvenanceView:
    """Return the provenance of the newest attempt."""
    newest = job.attempts[-1] if job.attempts else None
    if job.origin != "ganlib":
        return _build_own(job, newest)
    facts = [
        FactView("Run", job.id),
        FactView("Seed", str(job.seed)),
        FactView("Fixed latents", (job.latents_sha256 or NOTHING)[:12], job.latents_sha256 or "not yet drawn"),
    ]
    if newest is None:
        is_over = job.state in TERMINAL_STATES
        tree = "No worker claimed the run." if is_over else "Known when a worker claims the run."
        return ProvenanceView(facts, [], tree, "")
    return _build_ran(newest, facts)


def _build_own(job: JobRead, newest: AttemptRead | None) -> ProvenanceView:
    """Return what the writer of a loop of its own said; what it did not say is left out."""
    said = [
        FactView("Run", job.id),
        FactView("Written by", ORIGIN_WORDS[job.origin]),
        FactView("Imported from", str(job.spec.get("source", ""))),
        FactView("Seed", "" if job.seed is None else str(job.seed)),
        FactView("Fixed latents", (job.latents_sha256 or "")[:12], job.latents_sha256 or ""),
    ]
    if newest is None:
        return ProvenanceView([fact for fact in said if fact.text], [], "", "")
    ran = _build_ran(newest, said)
    tree = ran.tree if newest.provenance.commit else ""
    return replace(ran, facts=[fact for fact in ran.facts if fact.text not in ("", NOTHING)], tree=tree)


def _build_ran(newest: AttemptRead, facts: list[FactView]) -> ProvenanceView:
    ran = newest.provenance
    url = find_commit_url(ran.remote, ran.commit)
    more = [
        FactView("Commit", short_commit(ran.commit), ran.commit or "outside a git checkout", url),
        FactView("Branch", ran.branch or NOTHING),
        FactView("Device", ran.device or NOTHING),
        FactView("CPU threads", show_count(ran.threads) if ran.threads else NOTHING),
        FactView("Host", ran.hostname or NOTHING, ran.platform),
        FactView("Python", ran.python or NOTHING),
        FactView("Command", ran.command or NOTHING),
    ]
    versions = [FactView(name, version) for name, version in sorted(ran.versions.items())]
    return ProvenanceView([*facts, *more], versions, _describe_tree(newest), ran.diff.url if ran.diff else "")


def build_attempt(attempt: AttemptRead, job: JobRead, now: datetime) -> AttemptView:
    """Return one attempt, without the reason that the top of the page already gives."""
    is_shown = job.state == "failed" and attempt.reason == job.reason
    return AttemptView(
        number=attempt.attempt,
        worker=attempt.worker,
        claimed=moment_of(attempt.claimed_at, now),
        took=show_duration(((attempt.ended_at or now) - attempt.claimed_at).total_seconds()),
        end=attempt.end or "under way",
        resumed_from=show_count(attempt.resumed_from),
        reason=attempt.reason.message if attempt.reason and not is_shown else "",
    )


def build_checkpoint(job_id: str, checkpoint: CheckpointRead, now: datetime) -> CheckpointView:
    """Return one checkpoint."""
    return CheckpointView(
        iteration=show_count(checkpoint.iteration),
        attempt=checkpoint.attempt,
        size=show_bytes(checkpoint.size),
        created=moment_of(checkpoint.created_at, now),
        sha256=checkpoint.sha256,
        url=checkpoint.url or "",
        file=f"{checkpoint.iteration}.checkpoint.safetensors",
        generator_url=f"/jobs/{job_id}/checkpoints/{checkpoint.iteration}/generator" if checkpoint.url else "",
        is_best=checkpoint.is_best,
    )


@dataclass(frozen=True)
class FileRow:
    """A file of the run: its name in its folder, where it is read, and what it is."""

    name: str
    href: str
    size: str
    iteration: str
    is_picture: bool


@dataclass(frozen=True)
class FolderView:
    """The files of one folder (empty: those in none), and how much they are together."""

    name: str
    about: str
    files: Sequence[FileRow]


@dataclass(frozen=True)
class FilesView:
    """The files of a run by folder, how many there are, and what is left out."""

    about: str
    folders: Sequence[FolderView]
    more: str


def build_files(job_id: str, files: Sequence[RunFileRead], total: int, size: int) -> FilesView | None:
    """Return a run's files, the first of `total`; None without any."""
    if not files:
        return None
    folders: dict[str, list[RunFileRead]] = {}
    for file in files:
        folders.setdefault(file.name.rpartition("/")[0], []).append(file)
    left_out = total - len(files)
    return FilesView(
        about=_say_files(total, size),
        folders=[
            FolderView(
                name=folder,
                about=_say_files(len(own), sum(file.size for file in own)),
                files=[_file_row(job_id, file) for file in own],
            )
            for folder, own in sorted(folders.items())
        ],
        more=f"{show_count(left_out)} more are not listed here." if left_out else "",
    )


def _say_files(count: int, size: int) -> str:
    return f"{show_count(count)} file{'' if count == 1 else 's'}, {show_bytes(size)}"


def _file_row(job_id: str, file: RunFileRead) -> FileRow:
    return FileRow(
        name=file.name.rpartition("/")[2],
        href=f"/jobs/{job_id}/files/{quote(file.name)}",
        size=show_bytes(file.size),
        iteration=show_count(file.iteration),
        is_picture=file.media_type == "image/png",
    )


def _describe_tree(newest: AttemptRead) -> str:
    ran = newest.provenance
    if ran.diff is None:
        return "Clean: what ran is the commit." if ran.commit else "Not known outside a git checkout."
    cut = ", cut short" if ran.diff_truncated else ""
    return f"Not the commit alone: {ran.diff.added} lines added, {ran.diff.removed} removed{cut}"


@dataclass(frozen=True)
class FactsView:
    """The fact that matters of each kind of record, in a few words: it stands on the line that unfolds them."""

    log: str
    spec: str
    metrics: str
    provenance: str
    attempts: str
    checkpoints: str


def build_facts(job: JobRead, log: Sequence[LogLineRead]) -> FactsView:
    """Return what is said of a run's records while they are folded."""
    newest = job.attempts[-1] if job.attempts else None
    ran = newest.provenance if newest else None
    dirty = "" if ran is None or not ran.commit else "clean" if ran.diff is None else "with uncommitted changes"
    commit = short_commit(ran.commit) if ran else ""
    spec = job.spec if job.origin == "ganlib" else {}
    length = f"{show_count(job.iterations)} iterations" if job.iterations else ""
    said = (find_dataset(spec), length, "" if job.seed is None else f"seed {job.seed}")
    kept = [checkpoint.iteration for checkpoint in job.checkpoints if checkpoint.url]
    return FactsView(
        log=log[-1].text.partition("\n")[0] if log else "",
        spec=", ".join(filter(None, said)),
        metrics=f"{show_count(len(job.latest))} metrics" if job.latest else "",
        provenance=", ".join(filter(None, (commit.replace(NOTHING, ""), dirty, ran.device if ran else ""))),
        attempts=f"{show_count(len(job.attempts))}, {newest.end or 'under way'}" if newest else "",
        checkpoints=f"{show_count(len(kept))} kept, newest of iteration {show_count(max(kept))}" if kept else "",
    )


@dataclass(frozen=True)
class RelativeView:
    """A run that another was made from or that was made from it: the difference of the specs, and a comparison."""

    name: str
    href: str
    difference: str
    compare_href: str
    is_deleted: bool


@dataclass(frozen=True)
class LineageView:
    """The run that one was made from (`word` begins the sentence), and the runs made from it.

    lost: the id of a run that it was made from and that is gone for good. count: their number, in words.
    more: the text of the link to all of them.
    """

    word: str
    parent: RelativeView | None
    lost: str
    made: list[RelativeView]
    count: str
    more: str
    more_href: str


def build_lineage(job: JobRead, lineage: Lineage) -> LineageView | None:
    """Return the run that this one was made from and those made from it; None where there are neither."""
    if job.made_from is None and not lineage.made:
        return None
    parent = lineage.parent
    has_more = lineage.made_count > len(lineage.made)
    return LineageView(
        word="Retry of" if job.retry_of else "Made from",
        parent=_relative(parent, job.spec, parent.spec, job.id) if parent else None,
        lost=job.made_from if job.made_from and parent is None else "",
        made=[_relative(each, each.spec, job.spec, job.id) for each in lineage.made],
        count=_count_made(lineage.made_count),
        more=f"All {show_count(lineage.made_count)}" if has_more else "",
        more_href=search_href(f"from:{job.id}") if has_more else "",
    )


def describe_difference(young: dict[str, Any], old: dict[str, Any]) -> str:
    """Return the first fields that one spec changed of another, and the number of further ones."""
    rows = compare_specs([old, young]).rows
    if not rows:
        return SAME_SPEC
    more = len(rows) - FIELDS_SHOWN
    parts = [_describe_field(row) for row in rows[:FIELDS_SHOWN]]
    return "; ".join([*parts, *([f"{show_count(more)} more"] if more > 0 else [])])


def _count_made(count: int) -> str:
    return "1 run was made from this one" if count == 1 else f"{show_count(count)} runs were made from this one"


def _relative(other: Relative, young: dict[str, Any], old: dict[str, Any], job_id: str) -> RelativeView:
    return RelativeView(
        name=other.name,
        href=f"/runs/{other.id}",
        difference=describe_difference(young, old),
        compare_href=f"/compare?{urlencode([('run', other.id), ('run', job_id)])}",
        is_deleted=other.is_deleted,
    )


def _describe_field(row: FieldRow) -> str:
    before, after = (_shorten(value) for value in row.values)
    return f"{row.path} {before} → {after}"


def _shorten(value: str) -> str:
    return value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 1]}…"
