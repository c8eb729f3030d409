"""`ganvas cancel`, `retry`, `tag`, `delete` and `undelete`: change jobs that exist."""

from collections.abc import Callable

import click

from api.client.client import Client
from api.jobs.schemas import JobRead
from ganvas.commands.options import json_option, open_client, print_json, url_option


@click.command()
@click.argument("job_id", metavar="ID")
@url_option
@json_option
def cancel_command(job_id: str, url: str | None, as_json: bool) -> None:
    """Cancel a job; a running trainer writes a checkpoint and stops within seconds."""
    with open_client(url) as client:
        job = client.cancel(job_id)
    if as_json:
        print_json(job)
    else:
        click.echo(f"{job.id}  {job.state if job.state == 'cancelled' else 'cancel requested'}")


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--from-start", is_flag=True, help="Begin anew instead of at the newest checkpoint.")
@click.option("--idempotency-key", metavar="KEY", help="Make at most one new job under this key.")
@url_option
@json_option
def retry_command(
    job_id: str, from_start: bool, idempotency_key: str | None, url: str | None, as_json: bool
) -> None:
    """Make a new job of one that failed or was cancelled; it continues from the newest checkpoint."""
    with open_client(url) as client:
        job = client.retry(job_id, from_start=from_start, idempotency_key=idempotency_key)
        page_url = client.page_url(job.id)
    if as_json:
        print_json(job)
        return
    start = f"resumes from iteration {job.iteration:,}" if job.iteration else "starts anew"
    click.echo(f"{job.id}  {start}  {page_url}")


@click.command()
@click.argument("job_id", metavar="ID")
@click.argument("tags", metavar="[TAG]...", nargs=-1)
@click.option("--remove", metavar="TAG", multiple=True, help="Take this tag away (repeatable).")
@click.option("--note", metavar="TEXT", help="Write this into the job's note.")
@url_option
@json_option
def tag_command(
    job_id: str, tags: tuple[str, ...], remove: tuple[str, ...], note: str | None, url: str | None, as_json: bool
) -> None:
    """Give a job tags or take some away; without any, show those that it has."""
    with open_client(url) as client:
        if tags or remove or note is not None:
            job = client.edit(job_id, add_tags=tags, remove_tags=remove, note=note)
        else:
            job = client.get(job_id)
    if as_json:
        print_json(job)
        return
    click.echo(f"{job.id}  {' '.join(map(_quote, job.tags)) or 'no tags'}")
    if job.note:
        click.echo(job.note)


def _quote(tag: str) -> str:
    return f'"{tag}"' if " " in tag else tag


@click.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@url_option
@json_option
def delete_command(job_ids: tuple[str, ...], url: str | None, as_json: bool) -> None:
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
