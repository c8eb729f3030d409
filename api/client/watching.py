"""Follows one job: its summary and its findings as they change, by the event stream or by polling."""

import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import ValidationError

from api.client.calls import get, job_path
from api.client.event_stream import STREAM_SILENCE_SECONDS, read_stream, read_stream_async
from api.client.transport import AsyncTransport, Transport, UnexpectedAnswer, is_temporary
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


class _Watch:
    """What a watch knows, however it reaches the service: the job, what was told, and when it gives up.

    ends_at: the moment (monotonic) at which it ends without the job's end.
    """

    def __init__(self, ends_at: float | None) -> None:
        self._ends_at = ends_at
        self._known = KnownFindings()
        self._answered_at = time.monotonic()
        self._state = ""
        self.after = 0
        self.job_id = ""

    def is_over(self) -> bool:
        """Whether the job has ended, or the time has passed."""
        return self._state in TERMINAL_STATES or self._is_past()

    def has_ended(self) -> bool:
        """Whether the job has ended."""
        return self._state in TERMINAL_STATES

    def may_listen(self) -> bool:
        """Whether the end is further away than the longest silence of a stream."""
        return not self._is_past(STREAM_SILENCE_SECONDS)

    def begin(self, job: JobRead) -> JobUpdate:
        """Take the job as it is at first."""
        self._state, self.after, self._answered_at = job.state, job.last_event_id, time.monotonic()
        # Another job may get the name by which this one was asked for.
        self.job_id = job.id
        # What lasts first is how a person reads them; here they come as they were found.
        return JobUpdate(job, self._known.take_new(sorted(job.findings, key=lambda finding: finding.since)))

    def take(self, message: StreamEvent) -> JobUpdate:
        """Take a message of the stream."""
        self._state, self.after, self._answered_at = message.job.state, message.id, time.monotonic()
        return JobUpdate(message.job, self._known.take_new(_read_findings(message)))

    def renew(self, job: JobRead) -> JobUpdate:
        """Take the job as it was asked for again."""
        self._state, self._answered_at = job.state, time.monotonic()
        return JobUpdate(job, self._known.take_new(job.findings))

    def check_stream(self, error: ServiceError) -> None:
        """Raise the error that ended the stream, unless polling the job will show whether it matters."""
        if not is_temporary(error) and not isinstance(error, UnexpectedAnswer):
            raise error

    def check_job(self, error: ServiceError) -> None:
        """Raise the error of asking for the job, unless it may pass and the service has not been away for long."""
        if not is_temporary(error) or time.monotonic() - self._answered_at > PATIENCE_SECONDS:
            raise error

    def _is_past(self, margin: float = 0.0) -> bool:
        return self._ends_at is not None and time.monotonic() + margin >= self._ends_at


def follow_updates(transport: Transport, job_id: str, ends_at: float | None = None) -> Iterator[JobUpdate]:
    """Yield the job now and after each change, until it has ended or until `ends_at` (monotonic)."""
    watch = _Watch(ends_at)
    yield watch.begin(transport.run(get(job_id)))
    while not watch.is_over():
        try:
            for message in (
                read_stream(transport, f"{job_path(watch.job_id)}/events", watch.after)
                if watch.may_listen()
                else ()
            ):
                if message is not None:
                    yield watch.take(message)
                if watch.has_ended():
                    return
                if not watch.may_listen():
                    break
        except ServiceError as error:
            watch.check_stream(error)
        try:
            yield watch.renew(transport.run(get(watch.job_id)))
        except ServiceError as error:
            watch.check_job(error)
        if not watch.has_ended():
            time.sleep(POLL_SECONDS)


async def follow_updates_async(
    transport: AsyncTransport, job_id: str, ends_at: float | None = None
) -> AsyncGenerator[JobUpdate, None]:
    """Yield the same as `follow_updates`."""
    import asyncio

    watch = _Watch(ends_at)
    yield watch.begin(await transport.run(get(job_id)))
    while not watch.is_over():
        try:
            if watch.may_listen():
                async with aclosing(
                    read_stream_async(transport, f"{job_path(watch.job_id)}/events", watch.after)
                ) as messages:
                    async for message in messages:
                        if message is not None:
                            yield watch.take(message)
                        if watch.has_ended():
                            return
                        if not watch.may_listen():
                            break
        except ServiceError as error:
            watch.check_stream(error)
        try:
            yield watch.renew(await transport.run(get(watch.job_id)))
        except ServiceError as error:
            watch.check_job(error)
        if not watch.has_ended():
            await asyncio.sleep(POLL_SECONDS)


def _read_findings(message: StreamEvent) -> Iterator[FindingFacts]:
    for event in message.events:
        if event.get("kind") == _KIND:
            try:
                yield FindingFacts.model_validate(event)
            except ValidationError:
                # Of a newer version; the job itself has it in a form that this one may read.
                continue
