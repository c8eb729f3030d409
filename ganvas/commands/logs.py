"""`ganvas logs`: what the trainer said."""

import time

import click

from api.schemas import TERMINAL_STATES, LogLineRead
from ganvas.commands.options import json_option, open_client, print_json, url_option


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--tail", type=click.IntRange(1, 1000), default=200, show_default=True, help="How many lines.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job ends.")
@url_option
@json_option
def command(job_id: str, tail: int, follow: bool, url: str | None, as_json: bool) -> None:
    """Print a job's newest log lines."""
    with open_client(url) as client:
        page = client.log(job_id, tail=tail)
        if as_json:
            print_json(page)
            return
        shown = _print_new(page.items, [])
        if not shown:
            click.echo("No log lines yet.", err=True)
        while follow and client.get(job_id).state not in TERMINAL_STATES:
            time.sleep(1)
            shown = _print_new(client.log(job_id, tail=1000).items, shown)


def _print_new(lines: list[LogLineRead], shown: list[LogLineRead]) -> list[LogLineRead]:
    after = next((index + 1 for index in range(len(lines) - 1, -1, -1) if shown and lines[index] == shown[-1]), 0)
    for line in lines[after:]:
        level = "" if line.level == "info" else f"{line.level}: "
        click.echo(f"{line.at:%H:%M:%S}  {line.iteration:>8,}  {level}{line.text}")
    return lines or shown
