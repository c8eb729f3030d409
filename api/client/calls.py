"""What can be asked of a service, each described once; both clients have every one of them as a method."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import uuid4

from pydantic import BaseModel

from api.artifacts.schemas import RunFileRead
from api.client.transport import Answer, Call, ask, fetch, quote_id
from api.curves.columns import StoredCurves, read_curves
from api.curves.points import Points
from api.curves.schemas import Curve, CurvesRead, HistogramRead
from api.errors import JobNotFound
from api.events.findings.schemas import FindingAdvised, FindingListed, VerdictTone
from api.jobs.schemas import GroupsRead, JobPage, JobRead, JobSummary
from api.samples.schemas import CheckpointRead, LogLineRead, NeighbourGridRead, SampleRead
from api.server.http.schemas import HealthRead, JobState, Page
from api.server.sharing.schemas import ShareKind, ShareMade, ShareRead
from api.workers.schemas import WorkerRead
from ganlib.events import Severity

if TYPE_CHECKING:
    import httpx

    from ganlib.spec.job import JobSpec

# A read on a connection that the service had just closed is retried once.
READ_DELAYS = (0.0,)
SUBMIT_DELAYS = (0.1, 0.3, 0.6)
Item = TypeVar("Item", bound=BaseModel)
Model = TypeVar("Model", bound=BaseModel)
# Anything else is no name, and would request another address.
_ONE_SEGMENT = re.compile(r"(?!\.{1,2}$)[^\x00-\x1f\x7f]{1,250}")


@dataclass(frozen=True)
class Pages(Generic[Item]):
    """A list that the service answers page by page."""

    model: type[Page[Item]]
    path: str
    query: dict[str, Any]

    def ask_page(self, cursor: str | None = None) -> Call[Page[Item]]:
        """Return the page at this cursor."""
        return _read(self.model, self.path, {**self.query, "cursor": cursor})


def collect(pages: Pages[Item]) -> Call[tuple[Item, ...]]:
    """Return the items of all pages."""
    items: list[Item] = []
    cursor: str | None = None
    while True:
        page = yield from pages.ask_page(cursor)
        items += page.items
        cursor = page.next
        if cursor is None:
            return tuple(items)


def submit(
    spec: "dict[str, Any] | str | Path | JobSpec",
    idempotency_key: str | None = None,
    made_from: str | None = None,
) -> Call[JobRead]:
    """Queue a job from a mapping, a YAML or JSON file, or a JobSpec; raises SpecRefused for a bad one.

    The request has an idempotency key, so that a retry after a broken connection makes no second job.
    made_from: id or name of the job whose spec was changed; the pages of both then link to each other.

    >>> client.submit({"name": "first", "dataset": "mnist", ...}).state  # doctest: +SKIP
    'queued'
    """
    if isinstance(spec, (str, Path)):
        # Loaded with the first file: a client that only reads does without what reads YAML.
        from ganlib.spec.files import read_spec_file

        spec = read_spec_file(Path(spec))
    data = spec if isinstance(spec, dict) else spec.model_dump(mode="json")
    return fetch(
        JobRead,
        "POST",
        "/jobs",
        params=None if made_from is None else {"made_from": made_from},
        delays=SUBMIT_DELAYS,
        # A value without JSON form (a path, a date) is sent as text, so that the service can name its field.
        content=json.dumps(data, default=str),
        headers={"Content-Type": "application/json", "Idempotency-Key": idempotency_key or uuid4().hex},
    )


def get(job_id: str) -> Call[JobRead]:
    """Return one job in full.

    >>> client.get("my-gan").latest["loss/generator"].value  # doctest: +SKIP
    0.693
    """
    return _read(JobRead, job_path(job_id))


def cancel(job_id: str) -> Call[JobRead]:
    """Cancel the job: a queued one ends at once, a running one after a last checkpoint."""
    return fetch(JobRead, "POST", f"{job_path(job_id)}/cancel", delays=READ_DELAYS)


def edit(
    job_id: str,
    *,
    add_tags: Sequence[str] = (),
    remove_tags: Sequence[str] = (),
    tags: Sequence[str] | None = None,
    note: str | None = None,
) -> Call[JobRead]:
    """Change the job's tags and note; omitted arguments stay. `tags` replaces them all.

    >>> client.edit(job.id, add_tags=["good"], note="The sharpest so far.").tags  # doctest: +SKIP
    ['mnist', 'good']
    """
    body = {"add_tags": [*add_tags], "remove_tags": [*remove_tags]}
    given = {"tags": None if tags is None else [*tags], "note": note}
    return fetch(JobRead, "PATCH", job_path(job_id), json=body | _given(given))


def delete(job_id: str) -> Call[JobRead]:
    """Delete a job that has ended; for some days `restore` brings it back.

    Raises JobStateConflict for a queued or running job: cancel it first.
    """
    return fetch(JobRead, "DELETE", job_path(job_id), delays=READ_DELAYS)


def restore(job_id: str) -> Call[JobRead]:
    """Bring a deleted job back as it was; its name does not name it meanwhile, its id does."""
    return fetch(JobRead, "POST", f"{job_path(job_id)}/restore", delays=READ_DELAYS)


def retry(job_id: str, *, from_start: bool = False, idempotency_key: str | None = None) -> Call[JobRead]:
    """Make a new job from a failed or cancelled one; it resumes from the newest checkpoint.

    from_start: start from the beginning instead. The request has an idempotency key, as that of `submit`.
    """
    return fetch(
        JobRead,
        "POST",
        f"{job_path(job_id)}/retry",
        params={"from_start": from_start},
        delays=SUBMIT_DELAYS,
        headers={"Idempotency-Key": idempotency_key or uuid4().hex},
    )


def curves(job_id: str, *names: str, points: int | None = None) -> Call[dict[str, Curve]]:
    """Return the job's curves by metric name: all of them, or those named.

    points: about how many points to return of each curve, including its extremes; all without it.

    >>> client.curves(job.id, "loss/generator")["loss/generator"].values[-1]  # doctest: +SKIP
    0.693
    """
    found = yield from _read(CurvesRead, f"{job_path(job_id)}/metrics", {"name": list(names), "points": points})
    return {curve.name: curve for curve in found.curves}


def curve_columns(
    job_id: str, *names: str, points: int | None = None, times: bool = False
) -> Call[dict[str, Points]]:
    """Return the same as two arrays each, `iterations` (uint32) and `values` (float64, NaN as it is).

    Fast for whole curves: no object is created for a point, and `numpy.asarray` uses such an array without a copy.
    times: also `times`, when each point was logged, in seconds since 1970 (float64, NaN where it is not known); it
    takes longer, because the service reads the run's whole log.

    >>> client.curve_columns(job.id)["loss/generator"].values[-1]  # doctest: +SKIP
    0.693
    """
    query = _given({"name": list(names), "points": points, "form": "binary", "times": times or None})
    stored = yield from ask("GET", f"{job_path(job_id)}/metrics", _read_columns, params=query, delays=READ_DELAYS)
    return {curve.name: curve.points for curve in stored.curves}


def _read_columns(response: "httpx.Response") -> StoredCurves:
    return read_curves(response.content)


def samples(job_id: str) -> Call[tuple[SampleRead, ...]]:
    """Return the job's timeline: its sample grids in order of iteration."""
    return collect(Pages(Page[SampleRead], f"{job_path(job_id)}/samples", {}))


def neighbours(job_id: str) -> Call[tuple[NeighbourGridRead, ...]]:
    """Return the job's grids of nearest training images in order of iteration."""
    return collect(Pages(Page[NeighbourGridRead], f"{job_path(job_id)}/neighbours", {}))


def histograms(job_id: str, *names: str) -> Call[dict[str, list[HistogramRead]]]:
    """Return the job's histograms by name, each in order of iteration: all of them, or those named.

    >>> client.histograms(job.id, "logits/real")["logits/real"][-1].high  # doctest: +SKIP
    35.2
    """
    found: dict[str, list[HistogramRead]] = {}
    pages = Pages(Page[HistogramRead], f"{job_path(job_id)}/histograms", {"name": list(names)})
    for histogram in (yield from collect(pages)):
        found.setdefault(histogram.name, []).append(histogram)
    return found


def checkpoints(job_id: str) -> Call[tuple[CheckpointRead, ...]]:
    """Return the job's checkpoints in order of iteration."""
    return collect(Pages(Page[CheckpointRead], f"{job_path(job_id)}/checkpoints", {}))


def files(job_id: str, under: str = "") -> Call[tuple[RunFileRead, ...]]:
    """Return the job's files by name; under: only those whose names begin so.

    >>> [file.name for file in client.files(job.id, "images/")]  # doctest: +SKIP
    ['images/real/00000100.png']
    """
    return collect(Pages(Page[RunFileRead], f"{job_path(job_id)}/files", {"under": under}))


def findings(job_id: str) -> Call[tuple[FindingAdvised, ...]]:
    """Return what rules found in the job, with what to do about it: first what lasts, then the worst.

    >>> [advice.changes for advice in client.findings(job.id)[0].advice]  # doctest: +SKIP
    [{'optimisers.discriminator.learning_rate': 0.0001}]
    """
    return collect(Pages(Page[FindingAdvised], f"{job_path(job_id)}/findings", {}))


def list_findings(
    *,
    job: str | None = None,
    rule: str | None = None,
    severity: Severity | None = None,
    active: bool | None = None,
) -> Pages[FindingListed]:
    """Yield what rules found in all jobs, newest first; active: only what lasts, or only what has ended."""
    query = {"job": job, "rule": rule, "severity": severity, "active": active}
    return Pages(Page[FindingListed], "/findings", query)


def log(job_id: str, tail: int = 200) -> Call[Page[LogLineRead]]:
    """Return the last lines of the job's log in `items`, oldest first.

    >>> [line.text for line in client.log(job.id).items]  # doctest: +SKIP
    """
    return _read(Page[LogLineRead], f"{job_path(job_id)}/log", {"tail": tail})


def read_artifact(sha256: str) -> Call[bytes]:
    """Return the bytes of a stored file, such as a sample grid's PNG: `client.read_artifact(sample.sha256)`."""
    return ask("GET", f"/artifacts/{quote_id(sha256)}", lambda response: response.content, delays=READ_DELAYS)


def list_workers() -> Call[list[WorkerRead]]:
    """Return the known workers of the last day, living ones first."""
    page = yield from _read(Page[WorkerRead], "/workers")
    return page.items


def health() -> Call[HealthRead]:
    """Return the service's version and how many jobs are queued and running."""
    return _read(HealthRead, "/healthz")


def list_page(
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
) -> Call[JobPage]:
    """Return one page of jobs, as `list` does; its `next` is the cursor to ask for the following one.

    note: of an empty one, which metric or setting of the search no job has, if there is one.
    """
    query: dict[str, Any] = {"state": state, "name": name, "tag": tag, "commit": commit}
    query |= {"recipe": recipe, "verdict": verdict, "finding": finding, "where": [*where], "q": q}
    return _read(JobPage, "/jobs", {**query, "sort": sort, "limit": limit, "cursor": cursor})


def list_jobs(
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
) -> Pages[JobSummary]:
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
    return Pages(Page[JobSummary], "/jobs", query)


def table_query(
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
    limit: int | None = None,
) -> dict[str, Any]:
    """Return the query of a table of jobs; filters and order as in `list_jobs`."""
    query: dict[str, Any] = {"state": state, "name": name, "tag": tag, "commit": commit, "recipe": recipe}
    query |= {"verdict": verdict, "finding": finding, "where": [*where], "q": q, "sort": sort, "limit": limit}
    return _given(query)


def list_groups(*by: str, metrics: Sequence[str] = (), **filters: Any) -> Call[GroupsRead]:
    """Return jobs grouped by fields of their specs, or by `spec` (all but the seed), with means and deviations.

    metrics: whose newest values are averaged. filters: those of `list`.

    >>> client.list_groups("losses.generator", tag="sweep").groups[0].score.mean  # doctest: +SKIP
    """
    query = table_query(**filters) | {"by": [*by], "metric": [*metrics]}
    return _read(GroupsRead, "/job-groups", {key: value for key, value in query.items() if key != "sort"})


def share(
    *targets: str, kind: ShareKind = "run", address: str = "", expires_in: int | str = "7d"
) -> Call[ShareMade]:
    """Make a read-only link to a run, a comparison of runs or a figure; its `url` is told this once.

    address: of a comparison or a figure, as its page has it. expires_in: seconds, or `12h`, `7d`, `2w`.

    >>> client.share("my-gan", expires_in="2d").url  # doctest: +SKIP
    '/s/pXk…'
    """
    body = {"kind": kind, "targets": targets, "address": address, "expires_in": expires_in}
    # Once: another try may make another link, of which nobody hears.
    return fetch(ShareMade, "POST", "/shares", json=body)


def list_shares() -> Call[list[ShareRead]]:
    """Return the shared links, newest first, also those that ended within the last 30 days."""
    return (yield from _read(Page[ShareRead], "/shares")).items


def revoke_share(share_id: str) -> Call[ShareRead]:
    """End a shared link at once, for everybody who has it."""
    return fetch(ShareRead, "DELETE", f"/shares/{quote_id(share_id)}", delays=READ_DELAYS)


def job_path(job_id: str) -> str:
    """Return the address of the job with this id, this beginning of one, or this name."""
    if not _ONE_SEGMENT.fullmatch(job_id):
        raise JobNotFound(job_id=job_id)
    # No path can hold a slash that is none, so the service reads this as one.
    return f"/jobs/{quote_id(job_id.replace('/', '%2F'))}"


def read_answer(path: str, read: Callable[["httpx.Response"], Answer], query: dict[str, Any]) -> Call[Answer]:
    """GET this address and return what `read` makes of the answer."""
    return ask("GET", path, read, params=_given(query), delays=READ_DELAYS)


def _read(model: type[Model], path: str, query: dict[str, Any] | None = None) -> Call[Model]:
    return fetch(model, "GET", path, params=_given(query or {}), delays=READ_DELAYS)


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in query.items() if value is not None}
