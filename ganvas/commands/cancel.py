"""`ganvas cancel`: end a job."""

import click

from ganvas.commands.options import json_option, open_client, print_json, url_option


@click.command()
@click.argument("job_id", metavar="ID")
@url_option
@json_option
def command(job_id: str, url: str | None, as_json: bool) -> None:
    """Cancel a job; a running trainer writes a checkpoint and stops within seconds."""
    with open_client(url) as client:
        job = client.cancel(job_id)
    if as_json:
        print_json(job)
    else:
        click.echo(f"{job.id}  {job.state if job.state == 'cancelled' else 'cancel requested'}")
