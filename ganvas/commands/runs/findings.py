"""`ganvas findings`: what rules found in runs, and --fail-on for commands that follow one."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import get_args

import click

from api.events.findings.schemas import FindingListed
from ganlib.events import Severity
from ganlib.runtime.terminal import strip_controls
from ganvas.commands.options import RunType, json_option, open_client, print_json, url_option
from ganvas.commands.tables import TONE_COLOURS
from ganvas.progress import FaultFound, human_age, render_finding, say_finding

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
@click.argument("job_id", metavar="[RUN]", required=False, type=RunType())
@click.option("--rule", help="Only what this rule found: mode_collapse.")
@click.option("--severity", type=click.Choice(get_args(Severity)), help="Only what is as bad.")
@click.option("--active/--ended", default=None, help="Only what lasts, or only what has ended.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many to print.")
@url_option
@json_option
def findings_command(
    job_id: str | None,
    rule: str | None,
    severity: Severity | None,
    active: bool | None,
    limit: int,
    url: str | None,
    as_json: bool,
) -> None:
    """List the faults that were found in all jobs, newest first; with RUN, those of one job and what to do."""
    with open_client(url) as client:
        if job_id is not None:
            advised = [
                finding
                for finding in client.findings(job_id)
                if (rule is None or finding.rule == rule)
                and (severity is None or finding.severity == severity)
                and (active is None or (finding.ended is None) == active)
            ][:limit]
            items = [finding.model_dump(mode="json") for finding in advised]
            text = "\n\n".join(map(render_finding, advised))
        else:
            listed = list(islice(client.list_findings(rule=rule, severity=severity, active=active), limit))
            items = [finding.model_dump(mode="json") for finding in listed]
            text = "\n".join(map(render_row, listed))
    if as_json:
        print_json({"items": items, "next": None})
    else:
        is_filtered = any(each is not None for each in (job_id, rule, severity, active))
        empty = "No such finding." if is_filtered else "No faults found: rules look while a run trains."
        click.echo(text or empty)


def render_row(finding: FindingListed) -> str:
    """Return one line of the list."""
    name = strip_controls(finding.job_name)
    colour = TONE_COLOURS.get(finding.severity) if finding.ended is None else "bright_black"
    said = click.style(say_finding(finding), fg=colour)
    return f"{finding.job_id}  {human_age(finding.updated_at):>6}  {said}  ({name})"
