"""The Python client: submit a spec, watch it train, fetch its results. Needs neither torch nor the server.

>>> from ganvas import Client  # doctest: +SKIP
>>> client = Client()
>>> job = client.submit("recipes/winkler-mnist.yaml")
>>> job = client.wait(job.id, on_update=lambda job: print(job.iteration))
>>> client.save_sample(client.samples(job.id)[-1], "last.png")

Coroutines have the same from `AsyncClient`: `job = await client.get("my-gan")`.
"""

import functools
import inspect
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar

from pydantic import BaseModel

from api.client import calls, downloads, frames
from api.client.calls import Pages
from api.client.downloads import Query
from api.client.event_stream import read_stream, read_stream_async
from api.client.frames import FramesNotInstalled
from api.client.transport import AsyncTransport, Call, ServiceUnreachable, Transport, UnexpectedAnswer, quote_id
from api.client.watching import JobUpdate, WaitTimedOut, follow_updates, follow_updates_async
from api.client.worker_client import WorkerClient
from api.errors import ServiceError
from api.events.findings.schemas import FindingFacts
from api.events.schemas import StreamEvent
from api.jobs.schemas import JobRead, JobSummary
from api.samples.schemas import SampleRead
from api.server.http.schemas import TERMINAL_STATES

__all__ = [
    "AsyncClient", "Client", "FramesNotInstalled", "ServiceUnreachable", "UnexpectedAnswer", "WaitTimedOut",
    "WorkerClient",
]  # fmt: skip

UpdateCallback = Callable[[JobSummary], None]
FindingCallback = Callable[[FindingFacts], None]
Given = ParamSpec("Given")
Answer = TypeVar("Answer")
Item = TypeVar("Item", bound=BaseModel)
Function = TypeVar("Function", bound=Callable[..., Any])


def _described_by(call: Callable[..., Any], method: Function) -> Function:
    """Return the method with the name, signature and docstring of the call that it makes."""
    functools.update_wrapper(method, call, assigned=("__name__", "__doc__"), updated=())
    del method.__wrapped__  # type: ignore[attr-defined]  # it lacks the client itself
    signature = inspect.signature(call)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = signature.replace(parameters=[this, *signature.parameters.values()])  # type: ignore[attr-defined]
    return method


def _method(call: Callable[Given, Call[Answer]]) -> "Callable[Concatenate[Client, Given], Answer]":
    def method(self: "Client", /, *args: Given.args, **given: Given.kwargs) -> Answer:
        return self._transport.run(call(*args, **given))

    return _described_by(call, method)


def _iterator(call: Callable[Given, Pages[Item]]) -> "Callable[Concatenate[Client, Given], Iterator[Item]]":
    def method(self: "Client", /, *args: Given.args, **given: Given.kwargs) -> Iterator[Item]:
        pages, cursor = call(*args, **given), None
        while True:
            page = self._transport.run(pages.ask_page(cursor))
            yield from page.items
            cursor = page.next
            if cursor is None:
                return

    return _described_by(call, method)


def _coroutine(
    call: Callable[Given, Call[Answer]],
) -> "Callable[Concatenate[AsyncClient, Given], Coroutine[Any, Any, Answer]]":
    async def method(self: "AsyncClient", /, *args: Given.args, **given: Given.kwargs) -> Answer:
        return await self._transport.run(call(*args, **given))

    return _described_by(call, method)


def _async_iterator(
    call: Callable[Given, Pages[Item]],
) -> "Callable[Concatenate[AsyncClient, Given], AsyncIterator[Item]]":
    async def method(self: "AsyncClient", /, *args: Given.args, **given: Given.kwargs) -> AsyncIterator[Item]:
        pages, cursor = call(*args, **given), None
        while True:
            page = await self._transport.run(pages.ask_page(cursor))
            for item in page.items:
                yield item
            cursor = page.next
            if cursor is None:
                return

    return _described_by(call, method)


def _tell(update: JobUpdate, on_update: UpdateCallback | None, on_finding: FindingCallback | None) -> bool:
    """Call both with what is new; return whether the job has ended."""
    if on_finding is not None:
        for finding in update.findings:
            on_finding(finding)
    if on_update is not None:
        on_update(update.job)
    return update.job.state in TERMINAL_STATES


def _ends_at(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


class Client:
    """A Ganvas service as Python calls. Threads may share one.

    url: the service's address; without it GANVAS_URL, without that http://127.0.0.1:8000.
    token: for a service that requires one; without it GANVAS_TOKEN.

    A job is named by its id, by as many first characters as tell it apart, or by its name where only one job that
    is not deleted has it. Every call raises ServiceUnreachable when no service answers, and otherwise the class of
    `api.errors` with the code of the answer, such as JobNotFound and JobAmbiguous.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self._transport = Transport(url, token)
        self._public_url: str | None = None

    @property
    def url(self) -> str:
        """The service's address."""
        return self._transport.url

    submit = _method(calls.submit)
    get = _method(calls.get)
    cancel = _method(calls.cancel)
    edit = _method(calls.edit)
    delete = _method(calls.delete)
    restore = _method(calls.restore)
    retry = _method(calls.retry)
    curves = _method(calls.curves)
    curve_columns = _method(calls.curve_columns)
    samples = _method(calls.samples)
    neighbours = _method(calls.neighbours)
    histograms = _method(calls.histograms)
    checkpoints = _method(calls.checkpoints)
    files = _method(calls.files)
    findings = _method(calls.findings)
    list_findings = _iterator(calls.list_findings)
    log = _method(calls.log)
    read_artifact = _method(calls.read_artifact)
    list_workers = _method(calls.list_workers)
    share = _method(calls.share)
    list_shares = _method(calls.list_shares)
    revoke_share = _method(calls.revoke_share)
    health = _method(calls.health)
    list_page = _method(calls.list_page)
    list_groups = _method(calls.list_groups)
    list = _iterator(calls.list_jobs)
    frame = _method(frames.frame)
    curves_frame = _method(frames.curves_frame)

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
            job_id = update.job.id
            if _tell(update, on_update, on_finding):
                return self.get(job_id)
        raise WaitTimedOut(self.get(job_id), timeout or 0.0)

    def watch(self, job_id: str, timeout: float | None = None) -> Iterator[JobUpdate]:
        """Yield the job and what was found in it, now and after each change, until it ends or times out.

        >>> for update in client.watch(job.id):  # doctest: +SKIP
        ...     print(update.job.iteration, update.job.verdict.text, update.findings)
        """
        return follow_updates(self._transport, job_id, _ends_at(timeout))

    def stream(self, job_id: str, after: int | None = None) -> Iterator[StreamEvent]:
        """Yield the job's events after the event with id `after`, until the connection ends.

        >>> for message in client.stream(job.id):  # doctest: +SKIP
        ...     print(message.id, message.job.iteration)
        """
        messages = read_stream(self._transport, f"{calls.job_path(job_id)}/events", after)
        return (message for message in messages if message is not None)

    def stream_table(self, form: Literal["csv", "jsonl"], **filters: Any) -> Iterator[bytes]:
        """Yield jobs as a table with every field of their specs and every newest metric, piece by piece.

        filters: those of `list`, `sort`, and `limit`.

        >>> with open("runs.csv", "wb") as file:  # doctest: +SKIP
        ...     file.writelines(client.stream_table("csv", tag="good"))
        """
        with self._transport.stream(f"/jobs.{form}", params=calls.table_query(**filters)) as response:
            yield from response.iter_bytes()

    def save_sample(self, sample: SampleRead, path: str | Path) -> Path:
        """Save a sample grid's PNG at `path`."""
        return self.download(sample.sha256, path)

    def download(self, sha256: str, path: str | Path) -> Path:
        """Save any stored file at `path`; the file appears complete and with this sha256, or not at all."""
        return downloads.download_artifact(self._transport, sha256, Path(path))

    def save_figure(self, address: str, query: Query, path: str | Path) -> str:
        """Save a figure or movie, as docs/how-to/figures.md describes them, at `path`; drawing may take a minute.

        Returns a sentence about what the figure leaves out, or an empty string.

        >>> client.save_figure("/figures/timelines.pdf", [("run", job.id)], "figure.pdf")  # doctest: +SKIP
        ''
        """
        return downloads.download_figure(self._transport, address, query, Path(path))

    def save_page(
        self, path: str | Path, *runs: str, metrics: Sequence[str] = (), max_bytes: int | None = None
    ) -> str:
        """Save one run, or a comparison of two to ten, at `path` as an HTML file that opens without a service.

        metrics: what a comparison draws, losses unless given. max_bytes: a larger file leaves grids out evenly,
        10 MB unless given. Returns a sentence about what is left out, or an empty string.

        >>> client.save_page("both.html", first.id, second.id)  # doctest: +SKIP
        ''
        """
        address, query = downloads.page_query(runs, metrics, max_bytes)
        return self.save_figure(address, query, path)

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

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class AsyncClient:
    """The same calls for coroutines: awaited, or iterated with `async for`. Tasks of one loop may share it.

    >>> async with AsyncClient() as client:  # doctest: +SKIP
    ...     async for update in client.watch("my-gan"):
    ...         print(update.job.iteration)
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self._transport = AsyncTransport(url, token)
        self._public_url: str | None = None

    @property
    def url(self) -> str:
        """The service's address."""
        return self._transport.url

    submit = _coroutine(calls.submit)
    get = _coroutine(calls.get)
    cancel = _coroutine(calls.cancel)
    edit = _coroutine(calls.edit)
    delete = _coroutine(calls.delete)
    restore = _coroutine(calls.restore)
    retry = _coroutine(calls.retry)
    curves = _coroutine(calls.curves)
    curve_columns = _coroutine(calls.curve_columns)
    samples = _coroutine(calls.samples)
    neighbours = _coroutine(calls.neighbours)
    histograms = _coroutine(calls.histograms)
    checkpoints = _coroutine(calls.checkpoints)
    files = _coroutine(calls.files)
    findings = _coroutine(calls.findings)
    list_findings = _async_iterator(calls.list_findings)
    log = _coroutine(calls.log)
    read_artifact = _coroutine(calls.read_artifact)
    list_workers = _coroutine(calls.list_workers)
    share = _coroutine(calls.share)
    list_shares = _coroutine(calls.list_shares)
    revoke_share = _coroutine(calls.revoke_share)
    health = _coroutine(calls.health)
    list_page = _coroutine(calls.list_page)
    list_groups = _coroutine(calls.list_groups)
    list = _async_iterator(calls.list_jobs)
    frame = _coroutine(frames.frame)
    curves_frame = _coroutine(frames.curves_frame)

    async def wait(
        self,
        job_id: str,
        timeout: float | None = None,
        on_update: UpdateCallback | None = None,
        on_finding: FindingCallback | None = None,
    ) -> JobRead:
        """Return the job once it has ended, as `Client.wait` does."""
        async for update in self.watch(job_id, timeout):
            job_id = update.job.id
            if _tell(update, on_update, on_finding):
                return await self.get(job_id)
        raise WaitTimedOut(await self.get(job_id), timeout or 0.0)

    def watch(self, job_id: str, timeout: float | None = None) -> AsyncIterator[JobUpdate]:
        """Yield the job and what was found in it, now and after each change, until it ends or times out."""
        return follow_updates_async(self._transport, job_id, _ends_at(timeout))

    async def stream(self, job_id: str, after: int | None = None) -> AsyncIterator[StreamEvent]:
        """Yield the job's events after the event with id `after`, until the connection ends."""
        async for message in read_stream_async(self._transport, f"{calls.job_path(job_id)}/events", after):
            if message is not None:
                yield message

    async def stream_table(self, form: Literal["csv", "jsonl"], **filters: Any) -> AsyncIterator[bytes]:
        """Yield jobs as a table, as `Client.stream_table` does."""
        async with self._transport.stream(f"/jobs.{form}", params=calls.table_query(**filters)) as response:
            async for piece in response.aiter_bytes():
                yield piece

    async def save_sample(self, sample: SampleRead, path: str | Path) -> Path:
        """Save a sample grid's PNG at `path`."""
        return await self.download(sample.sha256, path)

    async def download(self, sha256: str, path: str | Path) -> Path:
        """Save any stored file at `path`; the file appears complete and with this sha256, or not at all."""
        return await downloads.download_artifact_async(self._transport, sha256, Path(path))

    async def save_figure(self, address: str, query: Query, path: str | Path) -> str:
        """Save a figure or movie at `path`, as `Client.save_figure` does."""
        return await downloads.download_figure_async(self._transport, address, query, Path(path))

    async def save_page(
        self, path: str | Path, *runs: str, metrics: Sequence[str] = (), max_bytes: int | None = None
    ) -> str:
        """Save a run or a comparison as one HTML file, as `Client.save_page` does."""
        address, query = downloads.page_query(runs, metrics, max_bytes)
        return await self.save_figure(address, query, path)

    async def page_url(self, job_id: str) -> str:
        """Return the address of the job's page on the dashboard, as `Client.page_url` does."""
        if self._public_url is None:
            try:
                self._public_url = (await self.health()).public_url.rstrip("/")
            except ServiceError:
                self._public_url = ""
        return f"{self._public_url or self.url}/runs/{quote_id(job_id)}"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()
