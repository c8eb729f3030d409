"""`ganvas retry`: a failed or cancelled job once more."""

import click

from ganvas.commands.options import json_option, open_client, print_json, url_option


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--from-start", is_flag=True, help="Begin anew instead of at the newest checkpoint.")
@url_option
@json_option
def command(job_id: str, from_start: bool, url: str | None, as_json: bool) -> None:
    """Make a new job of one that failed or was cancelled; it goes on from the newest checkpoint."""
    with open_client(url) as client:
        job = client.retry(job_id, from_start=from_start)
        page_url = client.page_url(job.id)
    if as_json:
        print_json(job)
        return
    begins = f"goes on from iteration {job.iteration:,}" if job.iteration else "begins at the beginning"
    click.echo(f"{job.id}  {begins}  {page_url}")
