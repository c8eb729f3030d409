"""`ganvas findings`: what rules found in runs, and --fail-on for commands that follow one."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, get_args

import click

from api.client.client import Client
from api.events.findings.schemas import FindingListed, FindingRead
from ganlib.events import Severity
from ganlib.runtime.terminal import strip_controls
from ganlib.spec.files import apply_overrides
from ganlib.spec.parse import parse_spec
from ganvas.commands.options import RunType, each_run, json_option, open_client, print_json, url_option
from ganvas.commands.tables import TONE_COLOURS
from ganvas.progress import FaultFound, human_age, render_findings, say_finding

# Beside 1 for a job that did not succeed, and 2 for a wrong use of the command.
FAULT_STATUS = 3

fail_on_option = click.option(
    "--fail-on",
    type=click.Choice(get_args(Severity)),
    help=f"Leave with exit status {FAULT_STATUS} at a fault that lasts and is as bad or worse; the job goes on.",
)


@contextmanager
def leave_at_fault(job_id: str) -> Iterator[None]:
    """Turn a fault of --fail-on into its exit status and a line that says what to do."""
    try:
        yield
    except FaultFound as fault:
        advice = f"`ganvas show {job_id}` says what to do about it; `ganvas cancel {job_id}` ends a job that runs."
        click.echo(f"{fault}\n{advice}", err=True)
        raise click.exceptions.Exit(FAULT_STATUS) from None


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=RunType())
@click.option("--rule", help="Only what this rule found: mode_collapse.")
@click.option("--severity", type=click.Choice(get_args(Severity)), help="Only what is as bad.")
@click.option("--active/--ended", default=None, help="Only what lasts, or only what has ended.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many to print.")
@click.option(
    "--try", "number", type=click.IntRange(1), metavar="N",
    help="Run RUN again with what its findings number N to try; both pages link each other.",
)  # fmt: skip
@click.option("--name", help="With --try: what to call the new run; else as RUN.")
@url_option
@json_option
def findings_command(
    runs: tuple[str, ...],
    rule: str | None,
    severity: Severity | None,
    active: bool | None,
    limit: int,
    number: int | None,
    name: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """List the faults that were found in all jobs, newest first; with RUNs, theirs and what to do.

    What to do is numbered: ganvas findings RUN --try 1 runs it again so.
    """
    if number is not None:
        if len(runs) != 1:
            raise click.UsageError("--try takes what was found in one run: ganvas findings RUN --try 1")
        with open_client(url) as client:
            _try(client, runs[0], number, name, as_json=as_json)
        return

    def is_wanted(finding: FindingRead) -> bool:
        return (
            (rule is None or finding.rule == rule)
            and (severity is None or finding.severity == severity)
            and (active is None or (finding.ended is None) == active)
        )

    is_filtered = any(each is not None for each in (runs or None, rule, severity, active))
    empty = "No such finding." if is_filtered else "No faults found: rules look while a run trains."
    items: list[dict[str, Any]] = []
    with open_client(url) as client, each_run(runs) as attempt:
        for run in runs:
            with attempt(run):
                job = client.get(run)
                shown = [finding for finding in job.findings if is_wanted(finding)][:limit]
                named = {"job_id": job.id, "job_name": job.name}
                items += [finding.model_dump(mode="json") | named for finding in shown]
                if not as_json:
                    heading = f"{click.style(strip_controls(job.name), bold=True)}  ({job.id})\n"
                    text = "\n\n".join(render_findings(job.findings, shown, run)) or empty
                    click.echo(f"{heading if len(runs) > 1 else ''}{text}{chr(10) if len(runs) > 1 else ''}")
        if not runs:
            listed = list(islice(client.list_findings(rule=rule, severity=severity, active=active), limit))
            items = [finding.model_dump(mode="json") for finding in listed]
            if not as_json:
                click.echo("\n".join(map(render_row, listed)) or empty)
        if as_json:
            print_json({"items": items, "next": None})


def _try(client: Client, run: str, number: int, name: str | None, *, as_json: bool) -> None:
    """Queue a run again with the change that this number names; raises UsageError where there is none."""
    job = client.get(run)
    advised = [advice for finding in job.findings for advice in finding.advice]
    if number > len(advised):
        there = f"the numbers go up to {len(advised)}" if advised else "there is nothing to try"
        raise click.UsageError(f"{job.name} has no advice {number}: {there}; `ganvas findings {job.id}` lists it.")
    advice = advised[number - 1]
    settings = [f"{path}={json.dumps(value)}" for path, value in advice.changes.items()]
    before = parse_spec(job.spec).model_dump(mode="json")
    spec = parse_spec(apply_overrides(before, settings) | ({"name": name} if name else {}))
    made = client.submit(spec, made_from=job.id)
    if as_json:
        print_json(made)
        return
    click.echo(f"{made.id}  {made.state}  {client.page_url(made.id)}")
    click.echo(f"{advice.title}: {'; '.join(advice.words)}", err=True)


def render_row(finding: FindingListed) -> str:
    """Return one line of the list."""
    name = strip_controls(finding.job_name)
    colour = TONE_COLOURS.get(finding.severity) if finding.ended is None else "bright_black"
    said = click.style(say_finding(finding), fg=colour)
    return f"{finding.job_id}  {human_age(finding.updated_at):>6}  {said}  ({name})"
