"""The Python client: submit a spec, watch it train, fetch its results. Needs neither torch nor the server.

>>> from ganvas import Client  # doctest: +SKIP
>>> client = Client()
>>> job = client.submit("recipes/winkler-mnist.yaml")
>>> job = client.wait(job.id, on_update=lambda job: print(job.iteration))
>>> client.save_sample(client.samples(job.id)[-1], "last.png")
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import uuid4

from pydantic import BaseModel

from api.client.downloads import Query, download_artifact, download_figure
from api.client.event_stream import read_stream
from api.client.transport import Model, ServiceUnreachable, Transport, UnexpectedAnswer, quote_id
from api.client.watching import JobUpdate, WaitTimedOut, follow_updates
from api.client.worker_client import WorkerClient
from api.curves.columns import StoredCurves, read_curves
from api.curves.points import Points
from api.curves.schemas import Curve, CurvesRead, HistogramRead
from api.errors import JobNotFound, ServiceError
from api.events.findings.schemas import FindingAdvised, FindingFacts, FindingListed, VerdictTone
from api.events.schemas import StreamEvent
from api.jobs.schemas import JobRead, JobSummary
from api.samples.schemas import CheckpointRead, LogLineRead, NeighbourGridRead, SampleRead
from api.server.http.schemas import TERMINAL_STATES, HealthRead, JobState, Page
from api.workers.schemas import WorkerRead
from ganlib.events import Severity
from ganlib.spec.files import read_spec_file
from ganlib.spec.job import JobSpec

__all__ = ["Client", "ServiceUnreachable", "UnexpectedAnswer", "WaitTimedOut", "WorkerClient"]

# A read on a connection that the service had just closed is retried once.
READ_DELAYS = (0.0,)
SUBMIT_DELAYS = (0.1, 0.3, 0.6)

_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

Item = TypeVar("Item", bound=BaseModel)
UpdateCallback = Callable[[JobSummary], None]
FindingCallback = Callable[[FindingFacts], None]


class Client:
    """A Ganvas service as Python calls. Threads may share one.

    url: the service's address; without it GANVAS_URL, without that http://127.0.0.1:8000.
    token: for a service that requires one; without it GANVAS_TOKEN.

    Every call raises ServiceUnreachable when no service answers, and otherwise the class of `api.errors` with the
    code of the answer, such as JobNotFound.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self._transport = Transport(url, token)
        self._public_url: str | None = None

    @property
    def url(self) -> str:
        """The service's address."""
        return self._transport.url

    def submit(
        self,
        spec: dict[str, Any] | str | Path | JobSpec,
        idempotency_key: str | None = None,
        made_from: str | None = None,
    ) -> JobRead:
        """Queue a job from a mapping, a YAML or JSON file, or a JobSpec; raises SpecRefused for a bad one.

        The request has an idempotency key, so that a retry after a broken connection makes no second job.
        made_from: the id of the job whose spec was changed; the pages of both then link to each other.

        >>> client.submit({"name": "first", "dataset": "mnist", ...}).state  # doctest: +SKIP
        'queued'
        """
        if isinstance(spec, JobSpec):
            data = spec.model_dump(mode="json")
        else:
            data = spec if isinstance(spec, dict) else read_spec_file(Path(spec))
        return self._transport.fetch(
            JobRead,
            "POST",
            "/jobs",
            params=None if made_from is None else {"made_from": made_from},
            delays=SUBMIT_DELAYS,
            # A value without JSON form (a path, a date) is sent as text, so that the service can name its field.
            content=json.dumps(data, default=str),
            headers={"Content-Type": "application/json", "Idempotency-Key": idempotency_key or uuid4().hex},
        )

    def get(self, job_id: str) -> JobRead:
        """Return one job in full.

        >>> client.get(job.id).latest["loss/generator"].value  # doctest: +SKIP
        0.693
        """
        return self._get(JobRead, f"/jobs/{_checked_id(job_id)}")

    def wait(
        self,
        job_id: str,
        timeout: float | None = None,
        on_update: UpdateCallback | None = None,
        on_finding: FindingCallback | None = None,
    ) -> JobRead:
        """Return the job once it has ended, however it ended; raises WaitTimedOut after `timeout` seconds.

        on_update: called with the job's summary now and after each change. on_finding: called with each fault that
        was found, and again when it changes or ends. Updates come from the event stream, which is resumed after a
        break, or by polling. A service that does not answer for a minute raises ServiceUnreachable.

        >>> client.wait(job.id, timeout=3600).verdict.text  # doctest: +SKIP
        'No fault found up to iteration 20,000'
        """
        for update in self.watch(job_id, timeout):
            if on_finding is not None:
                for finding in update.findings:
                    on_finding(finding)
            if on_update is not None:
                on_update(update.job)
            if update.job.state in TERMINAL_STATES:
                return self.get(job_id)
        raise WaitTimedOut(self.get(job_id), timeout or 0.0)

    def watch(self, job_id: str, timeout: float | None = None) -> Iterator[JobUpdate]:
        """Yield the job and what was found in it, now and after each change, until it ends or times out.

        >>> for update in client.watch(job.id):  # doctest: +SKIP
        ...     print(update.job.iteration, update.job.verdict.text, update.findings)
        """
        ends_at = None if timeout is None else time.monotonic() + timeout
        return follow_updates(self._transport, lambda: self.get(job_id), ends_at)

    def stream(self, job_id: str, after: int | None = None) -> Iterator[StreamEvent]:
        """Yield the job's events after the event with id `after`, until the connection ends.

        >>> for message in client.stream(job.id):  # doctest: +SKIP
        ...     print(message.id, message.job.iteration)
        """
        messages = read_stream(self._transport, f"/jobs/{_checked_id(job_id)}/events", after)
        return (message for message in messages if message is not None)

    def cancel(self, job_id: str) -> JobRead:
        """Cancel the job: a queued one ends at once, a running one after a last checkpoint."""
        return self._transport.fetch(JobRead, "POST", f"/jobs/{_checked_id(job_id)}/cancel", delays=READ_DELAYS)

    def edit(
        self,
        job_id: str,
        *,
        add_tags: Sequence[str] = (),
        remove_tags: Sequence[str] = (),
        tags: Sequence[str] | None = None,
        note: str | None = None,
    ) -> JobRead:
        """Change the job's tags and note; omitted arguments stay. `tags` replaces them all.

        >>> client.edit(job.id, add_tags=["good"], note="The sharpest so far.").tags  # doctest: +SKIP
        ['mnist', 'good']
        """
        edit = {"add_tags": [*add_tags], "remove_tags": [*remove_tags]}
        given = {"tags": None if tags is None else [*tags], "note": note}
        body = edit | {name: value for name, value in given.items() if value is not None}
        return self._transport.fetch(JobRead, "PATCH", f"/jobs/{_checked_id(job_id)}", json=body)

    def delete(self, job_id: str) -> JobRead:
        """Delete a job that has ended; for some days `restore` brings it back.

        Raises JobStateConflict for a queued or running job: cancel it first.
        """
        return self._transport.fetch(JobRead, "DELETE", f"/jobs/{_checked_id(job_id)}", delays=READ_DELAYS)

    def restore(self, job_id: str) -> JobRead:
        """Bring a deleted job back as it was."""
        return self._transport.fetch(JobRead, "POST", f"/jobs/{_checked_id(job_id)}/restore", delays=READ_DELAYS)

    def retry(self, job_id: str, *, from_start: bool = False, idempotency_key: str | None = None) -> JobRead:
        """Make a new job from a failed or cancelled one; it resumes from the newest checkpoint.

        from_start: start from the beginning instead. The request has an idempotency key, as that of `submit`.
        """
        return self._transport.fetch(
            JobRead,
            "POST",
            f"/jobs/{_checked_id(job_id)}/retry",
            params={"from_start": from_start},
            delays=SUBMIT_DELAYS,
            headers={"Idempotency-Key": idempotency_key or uuid4().hex},
        )

    def curves(self, job_id: str, *names: str, points: int | None = None) -> dict[str, Curve]:
        """Return the job's curves by metric name: all of them, or those named.

        points: about how many points to return of each curve, including its extremes; all without it.

        >>> client.curves(job.id, "loss/generator")["loss/generator"].values[-1]  # doctest: +SKIP
        0.693
        """
        query = {"name": list(names), "points": points}
        curves = self._get(CurvesRead, f"/jobs/{_checked_id(job_id)}/metrics", query)
        return {curve.name: curve for curve in curves.curves}

    def curve_columns(self, job_id: str, *names: str, points: int | None = None) -> dict[str, Points]:
        """Return the same as two arrays each, `iterations` (uint32) and `values` (float64, NaN as it is).

        Fast for whole curves: no object is created for a point, and `numpy.asarray` uses such an array without a
        copy.

        >>> client.curve_columns(job.id)["loss/generator"].values[-1]  # doctest: +SKIP
        0.693
        """
        query = {"name": list(names), "points": points, "form": "binary"}
        return {curve.name: curve.points for curve in self._read_columns(job_id, query).curves}

    def samples(self, job_id: str) -> tuple[SampleRead, ...]:
        """Return the job's timeline: its sample grids in order of iteration."""
        return tuple(self._pages(Page[SampleRead], f"/jobs/{_checked_id(job_id)}/samples", {}))

    def neighbours(self, job_id: str) -> tuple[NeighbourGridRead, ...]:
        """Return the job's grids of nearest training images in order of iteration."""
        return tuple(self._pages(Page[NeighbourGridRead], f"/jobs/{_checked_id(job_id)}/neighbours", {}))

    def histograms(self, job_id: str, *names: str) -> dict[str, list[HistogramRead]]:
        """Return the job's histograms by name, each in order of iteration: all of them, or those named.

        >>> client.histograms(job.id, "logits/real")["logits/real"][-1].high  # doctest: +SKIP
        35.2
        """
        histograms: dict[str, list[HistogramRead]] = {}
        query = {"name": list(names)}
        for histogram in self._pages(Page[HistogramRead], f"/jobs/{_checked_id(job_id)}/histograms", query):
            histograms.setdefault(histogram.name, []).append(histogram)
        return histograms

    def checkpoints(self, job_id: str) -> tuple[CheckpointRead, ...]:
        """Return the job's checkpoints in order of iteration."""
        return tuple(self._pages(Page[CheckpointRead], f"/jobs/{_checked_id(job_id)}/checkpoints", {}))

    def findings(self, job_id: str) -> tuple[FindingAdvised, ...]:
        """Return what rules found in the job, with what to do about it: first what lasts, then the worst.

        >>> [advice.changes for advice in client.findings(job.id)[0].advice]  # doctest: +SKIP
        [{'optimisers.discriminator.learning_rate': 0.0001}]
        """
        return tuple(self._pages(Page[FindingAdvised], f"/jobs/{_checked_id(job_id)}/findings", {}))

    def list_findings(
        self,
        *,
        job: str | None = None,
        rule: str | None = None,
        severity: Severity | None = None,
        active: bool | None = None,
    ) -> Iterator[FindingListed]:
        """Yield what rules found in all jobs, newest first; active: only what lasts, or only what has ended."""
        query = {"job": job, "rule": rule, "severity": severity, "active": active}
        return self._pages(Page[FindingListed], "/findings", query)

    def log(self, job_id: str, tail: int = 200) -> Page[LogLineRead]:
        """Return the last lines of the job's log in `items`, oldest first.

        >>> [line.text for line in client.log(job.id).items]  # doctest: +SKIP
        """
        return self._get(Page[LogLineRead], f"/jobs/{_checked_id(job_id)}/log", {"tail": tail})

    def save_sample(self, sample: SampleRead, path: str | Path) -> Path:
        """Save a sample grid's PNG at `path`."""
        return self.download(sample.sha256, path)

    def download(self, sha256: str, path: str | Path) -> Path:
        """Save any stored file at `path`; the file appears complete and with this sha256, or not at all."""
        return download_artifact(self._transport, sha256, Path(path))

    def save_figure(self, address: str, query: Query, path: str | Path) -> str:
        """Save a figure or movie, as docs/figures.md describes them, at `path`; drawing may take a minute.

        Returns a sentence about what the figure leaves out, or an empty string.

        >>> client.save_figure("/figures/timelines.pdf", [("run", job.id)], "figure.pdf")  # doctest: +SKIP
        ''
        """
        return download_figure(self._transport, address, query, Path(path))

    def list_workers(self) -> list[WorkerRead]:
        """Return the known workers of the last day, living ones first."""
        return self._get(Page[WorkerRead], "/workers").items

    def health(self) -> HealthRead:
        """Return the service's version and how many jobs are queued and running."""
        return self._get(HealthRead, "/healthz")

    def page_url(self, job_id: str) -> str:
        """Return the address of the job's page on the dashboard.

        It begins with the address at which people reach the service, where the service was told it
        (GANVAS_PUBLIC_URL), else with the one that this client uses.
        """
        if self._public_url is None:
            try:
                self._public_url = self.health().public_url.rstrip("/")
            except ServiceError:
                self._public_url = ""
        return f"{self._public_url or self.url}/runs/{quote_id(job_id)}"

    def list_page(
        self,
        *,
        state: JobState | None = None,
        name: str | None = None,
        tag: str | None = None,
        commit: str | None = None,
        recipe: str | None = None,
        verdict: VerdictTone | None = None,
        finding: str | None = None,
        where: Sequence[str] = (),
        q: str | None = None,
        sort: str = "-created_at",
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[JobSummary]:
        """Return one page of jobs, as `list` does; its `next` is the cursor to ask for the following one."""
        query: dict[str, Any] = {"state": state, "name": name, "tag": tag, "commit": commit}
        query |= {"recipe": recipe, "verdict": verdict, "finding": finding, "where": [*where], "q": q}
        return self._get(Page[JobSummary], "/jobs", {**query, "sort": sort, "limit": limit, "cursor": cursor})

    def list(
        self,
        *,
        state: JobState | None = None,
        name: str | None = None,
        tag: str | None = None,
        commit: str | None = None,
        recipe: str | None = None,
        verdict: VerdictTone | None = None,
        finding: str | None = None,
        where: Sequence[str] = (),
        q: str | None = None,
        sort: str = "-created_at",
    ) -> Iterator[JobSummary]:
        """Yield jobs, newest first unless `sort` says otherwise; further pages are fetched as they are needed.

        verdict: how bad the worst fault is that lasts. finding: a rule that found one. where: comparisons of spec
        fields and of metrics' newest values, which must all match. q: a search as in the dashboard's search box.
        sort: a column of the list, `duration`, a metric, or a field of the spec.

        >>> best = client.list(where=["losses.generator=hinge", "eval/fid<30"], sort="eval/fid")  # doctest: +SKIP
        >>> [job.name for job in client.list(state="running")]  # doctest: +SKIP
        ['winkler-mnist']
        """
        query: dict[str, Any] = {"state": state, "name": name, "tag": tag, "commit": commit, "recipe": recipe}
        query |= {"verdict": verdict, "finding": finding, "where": [*where], "q": q, "sort": sort}
        return self._pages(Page[JobSummary], "/jobs", query)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _get(self, model: type[Model], path: str, query: dict[str, Any] | None = None) -> Model:
        given = {key: value for key, value in (query or {}).items() if value is not None}
        return self._transport.fetch(model, "GET", path, params=given, delays=READ_DELAYS)

    def _read_columns(self, job_id: str, query: dict[str, Any]) -> StoredCurves:
        given = {key: value for key, value in query.items() if value is not None}
        path = f"/jobs/{_checked_id(job_id)}/metrics"
        response = self._transport.request("GET", path, params=given, delays=READ_DELAYS)
        try:
            return read_curves(response.content)
        except ValueError as error:
            raise UnexpectedAnswer(self.url, response.status_code) from error

    def _pages(self, page_type: type[Page[Item]], path: str, query: dict[str, Any]) -> Iterator[Item]:
        cursor: str | None = None
        while True:
            page = self._get(page_type, path, {**query, "cursor": cursor})
            yield from page.items
            if page.next is None:
                return
            cursor = page.next


def _checked_id(job_id: str) -> str:
    # Anything else, such as an empty id or a slash, would request another address.
    if not _JOB_ID.fullmatch(job_id):
        raise JobNotFound(job_id=job_id)
    return job_id
