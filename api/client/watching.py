"""Follows one job: its summary and its findings as they change, by the event stream or by polling."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import ValidationError

from api.client.event_stream import STREAM_SILENCE_SECONDS, read_stream
from api.client.transport import Transport, UnexpectedAnswer, is_temporary
from api.errors import ServiceError
from api.events.findings.schemas import FindingFacts
from api.events.schemas import StreamEvent
from api.jobs.schemas import JobRead, JobSummary
from api.server.http.schemas import TERMINAL_STATES

POLL_SECONDS = 0.5
# An unreachable service is tolerated for this long, as during a restart.
PATIENCE_SECONDS = 60.0
_KIND = "finding_reported"

Told = TypeVar("Told", bound=FindingFacts)


class WaitTimedOut(TimeoutError):
    """The job had not ended when `wait` timed out; it still runs. `job` is its last state."""

    def __init__(self, job: JobSummary, timeout: float) -> None:
        self.job = job
        super().__init__(f"The job {job.id} was still {job.state} after {timeout:g} seconds.")


@dataclass(frozen=True)
class JobUpdate:
    """A job's summary, and the findings that began or changed since the update before."""

    job: JobSummary
    findings: list[FindingFacts] = field(default_factory=list)


class KnownFindings:
    """Findings that were told already; a report that says the same again is none."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, int], tuple[int | None, str, str]] = {}

    def take_new(self, findings: Iterable[Told]) -> list[Told]:
        """Return those that began or changed, in this order."""
        new = []
        for finding in findings:
            state = (finding.ended, finding.severity, finding.text)
            if self._told.get((finding.rule, finding.since)) != state:
                self._told[finding.rule, finding.since] = state
                new.append(finding)
        return new


def follow_updates(
    transport: Transport, get_job: Callable[[], JobRead], ends_at: float | None = None
) -> Iterator[JobUpdate]:
    """Yield the job now and after each change, until it has ended or until `ends_at` (monotonic)."""
    known, job = KnownFindings(), get_job()
    # What lasts first is how a person reads them; here they come as they were found.
    yield JobUpdate(job, known.take_new(sorted(job.findings, key=lambda finding: finding.since)))
    after, answered_at = job.last_event_id, time.monotonic()
    while job.state not in TERMINAL_STATES and not _is_past(ends_at):
        for message in _read_messages(transport, job.id, after, ends_at):
            after, answered_at = message.id, time.monotonic()
            yield JobUpdate(message.job, known.take_new(_read_findings(message)))
            if message.job.state in TERMINAL_STATES:
                return
        try:
            job = get_job()
            answered_at = time.monotonic()
            yield JobUpdate(job, known.take_new(job.findings))
        except ServiceError as error:
            if not is_temporary(error) or time.monotonic() - answered_at > PATIENCE_SECONDS:
                raise
        if job.state not in TERMINAL_STATES:
            time.sleep(POLL_SECONDS)


def _read_findings(message: StreamEvent) -> Iterator[FindingFacts]:
    for event in message.events:
        if event.get("kind") == _KIND:
            try:
                yield FindingFacts.model_validate(event)
            except ValidationError:
                # Of a newer version; the job itself has it in a form that this one may read.
                continue


def _read_messages(transport: Transport, job_id: str, after: int, ends_at: float | None) -> Iterator[StreamEvent]:
    """Yield the stream's messages until it breaks, or until `ends_at` is closer than the longest silence."""
    if _is_past(ends_at, STREAM_SILENCE_SECONDS):
        return
    try:
        for message in read_stream(transport, f"/jobs/{job_id}/events", after):
            if message is not None:
                yield message
            if _is_past(ends_at, STREAM_SILENCE_SECONDS):
                return
    except ServiceError as error:
        # Whatever broke the stream, polling the job shows whether it matters.
        if not is_temporary(error) and not isinstance(error, UnexpectedAnswer):
            raise


def _is_past(moment: float | None, margin: float = 0.0) -> bool:
    return moment is not None and time.monotonic() + margin >= moment
