"""`ganvas list`, `show`, `logs` and `workers`: print jobs, logs and workers."""

import time
from typing import get_args

import click

from api.client.watching import KnownFindings
from api.events.findings.schemas import VerdictTone
from api.jobs.schemas import JobRead, JobSummary
from api.samples.schemas import LogLineRead
from api.server.http.schemas import TERMINAL_STATES, JobState
from api.workers.schemas import GpuState, WorkerRead
from ganlib.runtime.terminal import strip_controls
from ganlib.spec.documents.render import render_yaml
from ganvas.commands.options import json_option, open_client, print_json, url_option
from ganvas.progress import (
    human_age,
    human_duration,
    human_losses,
    human_time,
    render_finding,
    say_finding,
    say_waiting,
)

GIB = 1_073_741_824
# The orders whose values the table shows anyway.
_SHOWN_SORTS = ("created_at", "name", "state", "iteration", "iterations")


@click.command()
@click.option("--state", type=click.Choice(get_args(JobState)), help="Only jobs in this state.")
@click.option("--name", help="Only jobs whose name holds this text.")
@click.option("--tag", help="Only jobs with this tag.")
@click.option("--recipe", help="Only jobs that repeat a paper whose name holds this text.")
@click.option("--verdict", type=click.Choice(get_args(VerdictTone)), help="Only jobs that are judged so.")
@click.option("--finding", metavar="RULE", help="Only jobs in which this was found: mode_collapse.")
@click.option(
    "--where",
    metavar="COMPARISON",
    multiple=True,
    help="Only jobs for which this holds, of the spec or of a metric's newest value (repeatable): "
    "losses.generator=hinge, techniques.technique=feature_matching, 'eval/fid<30'.",
)
@click.option("--sort", help="By a column, `duration` or a metric; `-` in front turns it round.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many to print.")
@click.option("--cursor", help="Go on where an earlier list ended (its `next`).")
@url_option
@json_option
def list_command(
    state: JobState | None,
    name: str | None,
    tag: str | None,
    recipe: str | None,
    verdict: VerdictTone | None,
    finding: str | None,
    where: tuple[str, ...],
    sort: str | None,
    limit: int,
    cursor: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """List jobs, newest first unless sorted otherwise."""
    with open_client(url) as client:
        page = client.list_page(
            state=state,
            name=name,
            tag=tag,
            recipe=recipe,
            verdict=verdict,
            finding=finding,
            where=where,
            sort=sort or "-created_at",
            limit=limit,
            cursor=cursor,
        )
    if as_json:
        print_json(page)
        return
    if not page.items:
        is_filtered = any((state, name, tag, recipe, verdict, finding, where))
        click.echo(
            "No such job." if is_filtered else "No jobs. Submit one: ganvas submit recipes/winkler-mnist.yaml"
        )
        return
    column = (sort or "created_at").removeprefix("-")
    rows = [render_sorted(job, column) for job in page.items] if column not in _SHOWN_SORTS else []
    width = max(map(len, [column, *rows]), default=0)
    verdict_width = max(len(job.verdict.text) for job in page.items)
    click.echo(render_heading(column.rjust(width) if rows else "", verdict_width))
    for index, job in enumerate(page.items):
        click.echo(render_job_row(job, rows[index].rjust(width) if rows else "", verdict_width))
    for job in page.items:
        if job.obstacle:
            click.echo(f"{job.id} waits: {job.obstacle}")
    if page.next:
        click.echo(f"… more: ganvas list --limit {limit} --cursor {page.next}")


def render_heading(column: str = "", verdict_width: int = 0) -> str:
    """Return the table's heading, with the column that it is sorted by where that is no usual one."""
    verdict = f"{'verdict':<{verdict_width}}"
    end = f"{column and column + '  '}name"
    return f"{'id':<12}  {'state':<10}{'iterations':>16}  {verdict}  {'losses':<28}{'age':>9}  {end}"


def render_job_row(job: JobSummary, value: str = "", verdict_width: int = 0) -> str:
    """Return one line of the table, with the value that it is sorted by where that has a column."""
    verdict = f"{strip_controls(job.verdict.text):<{verdict_width}}"
    progress = f"{job.iteration:,}/{job.iterations:,}"
    age = human_age(job.created_at)
    shown = value and value + "  "
    return (
        f"{job.id}  {job.state:<10}{progress:>16}  {verdict}  {human_losses(job):<28}{age:>9}  {shown}{job.name}"
    )


def render_sorted(job: JobSummary, column: str) -> str:
    """Return the job's value in the column that the table is sorted by."""
    if column in job.latest:
        return f"{job.latest[column].value:.6g}"
    if column == "duration" and isinstance(job.sorted_by, float | int):
        return human_duration(job.sorted_by)
    if isinstance(job.sorted_by, float):
        return f"{job.sorted_by:.6g}"
    return "–" if job.sorted_by is None else str(job.sorted_by)


@click.command()
@click.argument("job_id", metavar="ID")
@url_option
@json_option
def show_command(job_id: str, url: str | None, as_json: bool) -> None:
    """Show one job: the verdict on it, where it stands, what was found and what to do, what ran, its spec."""
    with open_client(url) as client:
        job = client.get(job_id)
        page_url = client.page_url(job.id)
    if as_json:
        print_json(job)
        return
    click.echo(render_job(job))
    for finding in job.findings:
        click.echo(f"\n{render_finding(finding)}")
    if any(finding.advice for finding in job.findings):
        click.echo(f"\nTo try it: ganvas submit SPEC --made-from {job.id} --set …")
    click.echo(f"page        {page_url}\n")
    click.echo(render_yaml(job.spec, width=96, small_on_one_line=True), nl=False)


def render_job(job: JobRead) -> str:
    """Return the job's head and its attempts, as text."""
    lines = [
        f"{job.name}  ({job.id})",
        f"verdict     {strip_controls(job.verdict.text)}",
        f"state       {job.state}, iteration {job.iteration:,} of {job.iterations:,}",
        f"losses      {human_losses(job) or '–'}",
        f"created     {human_time(job.created_at)} ({human_age(job.created_at)} ago)",
        f"commit      {job.commit or '–'}",
        f"seed        {job.seed}",
        f"latents     {job.latents_sha256 or '–'}",
    ]
    if say_waiting(job):
        lines.append(f"waits       {say_waiting(job)}")
    if job.reason:
        lines.append(f"reason      {job.reason.code}: {job.reason.message}")
    for attempt in job.attempts:
        end = attempt.end or "running"
        why = f" ({attempt.reason.message})" if attempt.reason else ""
        lines.append(
            f"attempt {attempt.attempt:<4}from iteration {attempt.resumed_from:,} on {attempt.worker}: {end}{why}"
        )
    return "\n".join(lines)


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--tail", type=click.IntRange(1, 1000), default=200, show_default=True, help="How many lines.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job ends.")
@url_option
@json_option
def logs_command(job_id: str, tail: int, follow: bool, url: str | None, as_json: bool) -> None:
    """Print a job's newest log lines, with the time on this machine's clock and its distance from UTC.

    With --follow, faults are printed as they are found.
    """
    with open_client(url) as client:
        page = client.log(job_id, tail=tail)
        if as_json:
            print_json(page)
            return
        shown = _print_new(page.items, [])
        if not shown:
            why = say_waiting(client.get(job_id))
            click.echo(f"No log lines yet. {why}".rstrip(), err=True)
        known = KnownFindings()
        while follow:
            job = client.get(job_id)
            shown = _print_new(client.log(job_id, tail=1000).items, shown)
            for finding in known.take_new(sorted(job.findings, key=lambda finding: finding.updated_at)):
                click.echo(f"{human_time(finding.updated_at)}  {finding.iteration:>8,}  {say_finding(finding)}")
            if job.state in TERMINAL_STATES:
                return
            time.sleep(1)


def _print_new(lines: list[LogLineRead], shown: list[LogLineRead]) -> list[LogLineRead]:
    after = next((index + 1 for index in range(len(lines) - 1, -1, -1) if shown and lines[index] == shown[-1]), 0)
    for line in lines[after:]:
        level = "" if line.level == "info" else f"{line.level}: "
        click.echo(f"{human_time(line.at)}  {line.iteration:>8,}  {level}{strip_controls(line.text)}")
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
