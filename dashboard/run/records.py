"""What a run was told and what ran: spec, log, newest values, provenance, attempts, checkpoints."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from api.jobs.schemas import AttemptRead, JobRead
from api.samples.schemas import CheckpointRead, LogLineRead
from dashboard.web.formats import NOTHING, show_bytes, show_count, show_duration
from dashboard.web.layout import Figure, Moment, figure_of, moment_of, short_commit

# How each forge writes the page of a commit; a host that begins with the forge's name is one of its own servers.
_PAGES = {
    "github": "commit",
    "gitlab": "-/commit",
    "codeberg": "commit",
    "gitea": "commit",
    "bitbucket": "commits",
}
_HOST = r"(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)+)"
_PATH = r"(?P<path>[A-Za-z0-9_][\w.-]*(?:/[A-Za-z0-9_][\w.-]*?){1,6})(?:\.git)?/?"
_REMOTES = (
    re.compile(rf"https?://(?:[^/@\s]*@)?{_HOST}(?::443)?/{_PATH}", re.ASCII),
    re.compile(rf"ssh://(?:[\w.-]+@)?{_HOST}(?::\d+)?/{_PATH}", re.ASCII),
    re.compile(rf"(?:[\w.-]+@)?{_HOST}:{_PATH}", re.ASCII),
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def find_commit_url(remote: str | None, commit: str | None) -> str:
    """Return the https address of the commit's page, or nothing where the remote is on no forge that is known."""
    found = next((match for pattern in _REMOTES if (match := pattern.fullmatch(remote or ""))), None)
    if found is None or not commit or not _COMMIT.fullmatch(commit):
        return ""
    page = _PAGES.get(found["host"].partition(".")[0])
    return f"https://{found['host']}/{found['path']}/{page}/{commit}" if page else ""


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
    """A word and its value; `exact` is what hovering shows, `href` a page elsewhere that shows more."""

    word: str
    text: str
    exact: str = ""
    href: str = ""


@dataclass(frozen=True)
class ProvenanceView:
    """What ran. `tree` says whether it was the commit alone; `diff_href` leads to the rest, if any."""

    facts: list[FactView]
    versions: list[FactView]
    tree: str
    diff_href: str


@dataclass(frozen=True)
class AttemptView:
    """One worker's go at the run."""

    number: int
    worker: str
    claimed: Moment
    took: str
    end: str
    resumed_from: str
    reason: str


@dataclass(frozen=True)
class CheckpointView:
    """One checkpoint; `generator_url` gives the generator's weights alone, `file` names it on disk."""

    iteration: str
    attempt: int
    size: str
    created: Moment
    sha256: str
    url: str
    file: str
    generator_url: str


@dataclass(frozen=True)
class MetricView:
    """A metric's newest value."""

    name: str
    value: Figure
    iteration: str


def show_spec(spec: dict[str, object]) -> str:
    """Return the spec as YAML in its own order, without what it leaves out, small mappings on one line."""
    return yaml.safe_dump(
        _without_nothing(spec), sort_keys=False, default_flow_style=None, width=96, allow_unicode=True
    )


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
        MetricView(name, figure_of(metric.value), show_count(metric.iteration))
        for name, metric in sorted(job.latest.items())
    ]


def build_provenance(job: JobRead) -> ProvenanceView:
    """Return what the newest attempt ran."""
    newest = job.attempts[-1] if job.attempts else None
    facts = [
        FactView("Run", job.id),
        FactView("Seed", str(job.seed)),
        FactView("Fixed latents", (job.latents_sha256 or NOTHING)[:12], job.latents_sha256 or "not yet drawn"),
    ]
    if newest is None:
        return ProvenanceView(facts, [], "Known when a worker claims the run.", "")
    ran = newest.provenance
    url = find_commit_url(ran.remote, ran.commit)
    facts += [
        FactView("Commit", short_commit(ran.commit), ran.commit or "outside a git checkout", url),
        FactView("Branch", ran.branch or NOTHING),
        FactView("Device", ran.device or NOTHING),
        FactView("Host", ran.hostname or NOTHING, ran.platform),
        FactView("Python", ran.python or NOTHING),
        FactView("Command", ran.command or NOTHING),
    ]
    versions = [FactView(name, version) for name, version in sorted(ran.versions.items())]
    return ProvenanceView(facts, versions, _describe_tree(newest), ran.diff.url if ran.diff else "")


def build_attempt(attempt: AttemptRead, job: JobRead, now: datetime) -> AttemptView:
    """Return one attempt; what the notice at the top says is not said again."""
    is_said = job.state == "failed" and attempt.reason == job.reason
    return AttemptView(
        number=attempt.attempt,
        worker=attempt.worker,
        claimed=moment_of(attempt.claimed_at, now),
        took=show_duration(((attempt.ended_at or now) - attempt.claimed_at).total_seconds()),
        end=attempt.end or "under way",
        resumed_from=show_count(attempt.resumed_from),
        reason=attempt.reason.message if attempt.reason and not is_said else "",
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
    )


def _without_nothing(value: Any) -> Any:
    """Return mappings without the fields that are null: they are as if they were not there."""
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value


def _describe_tree(newest: AttemptRead) -> str:
    ran = newest.provenance
    if ran.diff is None:
        return "Clean: what ran is the commit." if ran.commit else "Not known outside a git checkout."
    cut = ", cut short" if ran.diff_truncated else ""
    return f"Not the commit alone: {ran.diff.added} lines added, {ran.diff.removed} removed{cut}"
