"""`ganvas delete` and `ganvas undelete`: jobs out of every list, and back."""

from collections.abc import Callable

import click

from api.client import Client
from api.schemas import JobRead
from ganvas.commands.options import json_option, open_client, print_json, url_option


@click.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@url_option
@json_option
def command(job_ids: tuple[str, ...], url: str | None, as_json: bool) -> None:
    """Delete jobs that have ended; for some days `ganvas undelete` brings them back."""
    _change_each(job_ids, url, as_json, lambda client, job_id: client.delete(job_id), "deleted")


@click.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@url_option
@json_option
def undelete_command(job_ids: tuple[str, ...], url: str | None, as_json: bool) -> None:
    """Bring deleted jobs back as they were."""
    _change_each(job_ids, url, as_json, lambda client, job_id: client.restore(job_id), "is back")


def _change_each(
    job_ids: tuple[str, ...], url: str | None, as_json: bool, change: Callable[[Client, str], JobRead], done: str
) -> None:
    with open_client(url) as client:
        for job_id in job_ids:
            job = change(client, job_id)
            if as_json:
                print_json(job)
            else:
                click.echo(f"{job.id}  {done}  {job.name}")
