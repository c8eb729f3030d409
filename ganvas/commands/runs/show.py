"""`ganvas show`, `open`, `logs` and `workers`: print runs, logs and workers."""

import os
import sys
import time

import click

from api.client.client import Client
from api.client.watching import KnownFindings
from api.jobs.schemas import JobRead
from api.samples.schemas import LogLineRead
from api.server.http.schemas import TERMINAL_STATES
from api.workers.schemas import GpuState, WorkerRead
from ganlib.runtime.terminal import strip_controls
from ganlib.spec.documents.render import render_yaml
from ganvas.commands.options import (
    RunType,
    ask_each,
    json_option,
    open_client,
    print_json,
    print_json_of,
    runs_argument,
    url_option,
)
from ganvas.commands.tables import show_state, show_verdict
from ganvas.progress import (
    human_age,
    human_losses,
    human_progress,
    human_time,
    render_finding,
    say_finding,
    say_waiting,
)

GIB = 1_073_741_824


@click.command()
@runs_argument
@url_option
@json_option
def show_command(runs: tuple[str, ...], url: str | None, as_json: bool) -> None:
    """Show runs: the verdict on each, where it stands, what was found and what to do, what ran, its spec."""

    def render(client: Client, run: str) -> JobRead:
        job = client.get(run)
        if not as_json:
            click.echo("\n" if pages else "", nl=False)
            pages.append(render_whole(job, client.page_url(job.id)))
            click.echo(pages[-1], nl=False)
        return job

    pages: list[str] = []
    ask_each(url, runs, render, as_json=as_json)


def render_whole(job: JobRead, page_url: str) -> str:
    """Return everything about one run, as text."""
    lines = [render_job(job)]
    lines += [f"\n{render_finding(finding)}" for finding in job.findings]
    if any(finding.advice for finding in job.findings):
        lines.append(f"\nTo try it: ganvas submit SPEC --made-from {job.id} --set …")
    lines += [f"page        {page_url}", "", render_yaml(job.spec, width=96, small_on_one_line=True)]
    return "\n".join(lines)


def render_job(job: JobRead) -> str:
    """Return the job's head and its attempts, as text."""
    state = show_state(job.state).paint(0, "<")
    lines = [
        f"{click.style(strip_controls(job.name), bold=True)}  ({job.id})",
        f"verdict     {show_verdict(job.verdict).paint(0, '<')}",
        f"state       {state}, iteration {human_progress(job, ' of ')}",
        f"losses      {human_losses(job) or '–'}",
        f"created     {human_time(job.created_at)} ({human_age(job.created_at)} ago)",
        f"commit      {job.commit or '–'}",
        # What nobody said of an own run is left out.
        *([f"seed        {job.seed}"] if job.seed is not None else []),
        *([f"latents     {job.latents_sha256 or '–'}"] if job.origin == "ganlib" else []),
        *([f"origin      {job.origin}"] if job.origin != "ganlib" else []),
    ]
    if job.tags:
        lines.append(f"tags        {', '.join(job.tags)}")
    if say_waiting(job):
        lines.append(f"waits       {say_waiting(job)}")
    if job.reason:
        lines.append(f"reason      {job.reason.code}: {strip_controls(job.reason.message)}")
    for attempt in job.attempts:
        end = attempt.end or "running"
        why = f" ({strip_controls(attempt.reason.message)})" if attempt.reason else ""
        lines.append(
            f"attempt {attempt.attempt:<4}from iteration {attempt.resumed_from:,} on {attempt.worker}: {end}{why}"
        )
    return "\n".join(lines)


@click.command()
@click.argument("run", metavar="[RUN]", required=False, type=RunType())
@click.option("--print", "only_print", is_flag=True, help="Print the address and open nothing.")
@url_option
def open_command(run: str | None, only_print: bool, url: str | None) -> None:
    """Open a run's page, or the list of runs, in the browser; where there is none, print the address."""
    with open_client(url) as client:
        address = client.page_url(client.get(run).id if run else "x").removesuffix("" if run else "/runs/x")
    click.echo(address)
    if not only_print and has_browser():
        click.launch(address)


def has_browser() -> bool:
    """Return whether a person sits at a screen that can show a browser."""
    if not sys.stdout.isatty() or os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform in ("darwin", "win32") or any(
        map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    )


@click.command()
@runs_argument
@click.option("--tail", type=click.IntRange(1, 1000), default=200, show_default=True, help="How many lines.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the runs end.")
@url_option
@json_option
def logs_command(runs: tuple[str, ...], tail: int, follow: bool, url: str | None, as_json: bool) -> None:
    """Print runs' newest log lines, with the time on this machine's clock and its distance from UTC.

    With --follow, faults are printed as they are found. Of several runs each line begins with its run's name.
    """
    with open_client(url) as client:
        if as_json:
            pages = [client.log(run, tail=tail) for run in runs]
            print_json_of(pages, is_list=len(runs) > 1)
            return
        logs = [_Log(client, run, f"{strip_controls(run)}  " if len(runs) > 1 else "") for run in runs]
        for log in logs:
            log.begin(tail)
        while follow:
            logs = [log for log in logs if log.go_on()]
            if not logs:
                return
            time.sleep(1)


class _Log:
    """What was printed of one run's log."""

    def __init__(self, client: Client, run: str, prefix: str) -> None:
        self._client, self._run, self._prefix = client, run, prefix
        self._shown: list[LogLineRead] = []
        self._known = KnownFindings()

    def begin(self, tail: int) -> None:
        """Print the newest lines."""
        self._shown = _print_new(self._client.log(self._run, tail=tail).items, [], self._prefix)
        if not self._shown:
            why = say_waiting(self._client.get(self._run))
            click.echo(f"{self._prefix}No log lines yet. {why}".rstrip(), err=True)

    def go_on(self) -> bool:
        """Print what is new; return whether more may come."""
        job = self._client.get(self._run)
        self._shown = _print_new(self._client.log(self._run, tail=1000).items, self._shown, self._prefix)
        for finding in self._known.take_new(sorted(job.findings, key=lambda finding: finding.updated_at)):
            moment = human_time(finding.updated_at)
            click.echo(f"{self._prefix}{moment}  {finding.iteration:>8,}  {say_finding(finding)}")
        return job.state not in TERMINAL_STATES


def _print_new(lines: list[LogLineRead], shown: list[LogLineRead], prefix: str) -> list[LogLineRead]:
    after = next((index + 1 for index in range(len(lines) - 1, -1, -1) if shown and lines[index] == shown[-1]), 0)
    for line in lines[after:]:
        level = "" if line.level == "info" else f"{line.level}: "
        click.echo(f"{prefix}{human_time(line.at)}  {line.iteration:>8,}  {level}{strip_controls(line.text)}")
    return lines or shown


@click.command()
@url_option
@json_option
def workers_command(url: str | None, as_json: bool) -> None:
    """List the workers that reported in the last day."""
    with open_client(url) as client:
        workers = client.list_workers()
    if as_json:
        print_json({"items": [worker.model_dump(mode="json") for worker in workers], "next": None})
        return
    if not workers:
        click.echo("No worker reported in the last day. Start one: ganvas worker")
    for worker in workers:
        click.echo(render_worker(worker))


def render_worker(worker: WorkerRead) -> str:
    """Return one worker's lines."""
    if not worker.is_alive:
        state = f"silent for {human_age(worker.seen_at)}"
    elif worker.job_id:
        state = f"runs {worker.job_id}, attempt {worker.attempt}"
    else:
        state = "idle"
    lines = [f"{worker.name}  {state}  {worker.device}"]
    return "\n".join(lines + [f"    {render_gpu(gpu)}" for gpu in worker.gpus])


def render_gpu(gpu: GpuState) -> str:
    """Return one GPU's line."""
    load = "" if gpu.utilisation is None else f"  {gpu.utilisation:.0%} busy"
    return f"GPU {gpu.index}  {gpu.name}  {gpu.memory_used / GIB:.1f} of {gpu.memory_total / GIB:.1f} GiB{load}"
