"""`ganvas show`, `open`, `logs` and `workers`: print runs, logs and workers."""

import os
import sys
import time
from typing import Any

import click

from api.client.client import Client
from api.client.watching import KnownFindings
from api.jobs.schemas import JobRead
from api.samples.schemas import LogLineRead
from api.server.http.schemas import TERMINAL_STATES, Page
from api.workers.schemas import GpuState, WorkerRead
from ganlib.errors import SpecInvalid
from ganlib.runtime.terminal import strip_controls
from ganlib.spec.documents.defaults import omit_defaults
from ganlib.spec.documents.render import render_yaml
from ganlib.spec.parse import parse_spec
from ganvas.commands.options import (
    RunType,
    ask_each,
    each_run,
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
    human_date,
    human_duration,
    human_losses,
    human_progress,
    human_time,
    render_findings,
    say_finding,
    say_waiting,
)

GIB = 1_073_741_824
# Of what a failed run printed last.
_OUTPUT_LINES = 12


output_option = click.option(
    "--output",
    "whole_output",
    is_flag=True,
    help=f"All that a failed run printed last, not {_OUTPUT_LINES} lines.",
)


@click.command()
@runs_argument
@click.option("--spec", "whole_spec", is_flag=True, help="The whole spec, also what its defaults say.")
@output_option
@url_option
@json_option
def show_command(
    runs: tuple[str, ...], whole_spec: bool, whole_output: bool, url: str | None, as_json: bool
) -> None:
    """Show runs: the verdict on each, where it stands, what was found and what to do, what ran, its spec.

    Of the spec, what differs from the defaults; of a failed run, the end of what it printed.
    """

    def render(client: Client, run: str) -> JobRead:
        job = client.get(run)
        if not as_json:
            click.echo("\n" if pages else "", nl=False)
            page_url = client.page_url(job.id)
            pages.append(render_whole(job, page_url, whole_spec=whole_spec, whole_output=whole_output))
            click.echo(pages[-1], nl=False)
        return job

    pages: list[str] = []
    ask_each(url, runs, render, as_json=as_json)


def render_whole(job: JobRead, page_url: str, *, whole_spec: bool = False, whole_output: bool = False) -> str:
    """Return everything about one run, as text."""
    lines = [render_job(job), *render_output(job, whole=whole_output)]
    lines += [f"\n{text}" for text in render_findings(job.findings, job.findings, job.id)]
    spec = job.spec if whole_spec else shorten_spec(job)
    note = "" if len(str(spec)) == len(str(job.spec)) else "# without what defaults say; all of it: --spec\n"
    lines += [f"page        {page_url}", "", f"{note}{render_yaml(spec, width=96, small_on_one_line=True)}"]
    return "\n".join(lines)


def shorten_spec(job: JobRead) -> dict[str, Any]:
    """Return a run's spec without what its defaults say; one of an own loop, or of another version, as it is."""
    if job.origin != "ganlib":
        return job.spec
    try:
        return omit_defaults(parse_spec(job.spec))
    except SpecInvalid:
        return job.spec


def render_output(job: JobRead, *, whole: bool) -> list[str]:
    """Return the last lines that a failed run printed, such as its traceback, under a heading."""
    printed = [strip_controls(line) for line in job.reason.log_tail.rstrip().splitlines()] if job.reason else []
    if not printed:
        return []
    shown = printed if whole else printed[-_OUTPUT_LINES:]
    more = f", {len(shown)} of {len(printed)} lines; all of them: --output" if len(shown) < len(printed) else ""
    return [f"last output{more}", *(f"    {line}" for line in shown)]


def render_job(job: JobRead) -> str:
    """Return the job's head and its attempts, as text."""
    state = show_state(job.state).paint(0, "<")
    lines = [
        f"{click.style(strip_controls(job.name), bold=True)}  ({job.id})",
        f"verdict     {show_verdict(job.verdict).paint(0, '<')}",
        f"state       {state}, iteration {human_progress(job, ' of ')}",
        f"losses      {human_losses(job) or '–'}",
        f"created     {human_date(job.created_at)} ({human_age(job.created_at)} ago)",
        *([f"ended       {human_date(job.ended_at)}{_say_length(job)}"] if job.ended_at else []),
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


def _say_length(job: JobRead) -> str:
    if job.started_at is None or job.ended_at is None:
        return ""
    return f" (after {human_duration(max(0.0, (job.ended_at - job.started_at).total_seconds()))})"


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=RunType())
@click.option("--print", "only_print", is_flag=True, help="Print the address and open nothing.")
@url_option
def open_command(runs: tuple[str, ...], only_print: bool, url: str | None) -> None:
    """Open runs' pages, or the list of runs, in the browser; where there is none, print the addresses."""

    def launch(address: str) -> None:
        click.echo(address)
        if not only_print and has_browser():
            click.launch(address)

    with open_client(url) as client, each_run(runs) as attempt:
        for run in runs:
            with attempt(run):
                launch(client.page_url(client.get(run).id))
        if not runs:
            launch(client.page_url("x").removesuffix("/runs/x"))


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
@output_option
@url_option
@json_option
def logs_command(
    runs: tuple[str, ...], tail: int, follow: bool, whole_output: bool, url: str | None, as_json: bool
) -> None:
    """Print runs' newest log lines, with the time on this machine's clock and its distance from UTC.

    After a failed run's lines comes the end of what it printed, such as its traceback. With --follow, faults are
    printed as they are found. Of several runs each line begins with its run's name.
    """
    pages: list[Page[LogLineRead]] = []
    logs: list[_Log] = []
    with open_client(url) as client, each_run(runs) as attempt:
        for run in runs:
            with attempt(run):
                if as_json:
                    pages.append(client.log(run, tail=tail))
                    continue
                log = _Log(client, run, f"{strip_controls(run)}  " if len(runs) > 1 else "", whole_output)
                log.begin(tail, is_followed=follow)
                logs.append(log)
        if as_json:
            print_json_of(pages, is_list=len(runs) > 1)
        while follow and (logs := [log for log in logs if log.go_on()]):
            time.sleep(1)


class _Log:
    """What was printed of one run's log."""

    def __init__(self, client: Client, run: str, prefix: str, whole_output: bool) -> None:
        self._client, self._run, self._prefix = client, run, prefix
        self._whole_output = whole_output
        self._shown: list[LogLineRead] = []
        self._known = KnownFindings()

    def begin(self, tail: int, *, is_followed: bool) -> None:
        """Print the newest lines."""
        self._shown = _print_new(self._client.log(self._run, tail=tail).items, [], self._prefix)
        job = self._client.get(self._run)
        if not self._shown:
            click.echo(f"{self._prefix}No log lines yet. {say_waiting(job)}".rstrip(), err=True)
        if not is_followed:
            self._print_output(job)

    def _print_output(self, job: JobRead) -> None:
        for line in render_output(job, whole=self._whole_output):
            click.echo(f"{self._prefix}{line}")

    def go_on(self) -> bool:
        """Print what is new; return whether more may come."""
        job = self._client.get(self._run)
        self._shown = _print_new(self._client.log(self._run, tail=1000).items, self._shown, self._prefix)
        for finding in self._known.take_new(sorted(job.findings, key=lambda finding: finding.updated_at)):
            moment = human_time(finding.updated_at)
            click.echo(f"{self._prefix}{moment}  {finding.iteration:>8,}  {say_finding(finding)}")
        if job.state in TERMINAL_STATES:
            self._print_output(job)
            return False
        return True


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
