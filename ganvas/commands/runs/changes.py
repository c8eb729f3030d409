"""`ganvas cancel`, `retry`, `tag`, `delete` and `undelete`: change runs that exist."""

import click

from api.client.client import Client
from api.errors import JobNotFound
from api.jobs.schemas import JobRead
from ganvas.commands.options import (
    ask_each,
    json_option,
    open_client,
    print_json,
    run_argument,
    runs_argument,
    url_option,
)


@click.command()
@runs_argument
@url_option
@json_option
def cancel_command(runs: tuple[str, ...], url: str | None, as_json: bool) -> None:
    """Cancel runs; a running trainer writes a checkpoint and stops within seconds."""

    def say(job: JobRead) -> str:
        return f"{job.id}  {job.state if job.state == 'cancelled' else 'cancel requested'}"

    ask_each(url, runs, lambda client, run: client.cancel(run), say, as_json=as_json)


@click.command()
@run_argument
@click.option("--from-start", is_flag=True, help="Begin anew instead of at the newest checkpoint.")
@click.option("--idempotency-key", metavar="KEY", help="Make at most one new job under this key.")
@url_option
@json_option
def retry_command(run: str, from_start: bool, idempotency_key: str | None, url: str | None, as_json: bool) -> None:
    """Make a new job of one that failed or was cancelled; it continues from the newest checkpoint."""
    with open_client(url) as client:
        job = client.retry(run, from_start=from_start, idempotency_key=idempotency_key)
        page_url = client.page_url(job.id)
    if as_json:
        print_json(job)
        return
    start = f"resumes from iteration {job.iteration:,}" if job.iteration else "starts anew"
    click.echo(f"{job.id}  {start}  {page_url}")


@click.command()
@run_argument
@click.argument("tags", metavar="[TAG]...", nargs=-1)
@click.option(
    "--add", metavar="TAG", multiple=True, help="Give this tag; all arguments are then runs (repeatable)."
)
@click.option(
    "--remove",
    metavar="TAG",
    multiple=True,
    help="Take this tag away (repeatable); of several arguments all are runs if each names one.",
)
@click.option("--note", metavar="TEXT", help="Write this into the run's note.")
@url_option
@json_option
def tag_command(
    run: str,
    tags: tuple[str, ...],
    add: tuple[str, ...],
    remove: tuple[str, ...],
    note: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Give a run tags or take some away; without any, show those that it has.

    Of several runs: ganvas tag RUN RUN … --add good --remove bad
    """
    if not add and remove and tags:
        runs, tags = _tell_apart(url, run, tags)
    else:
        runs, tags = ((run, *tags), add) if add else ((run,), tags)

    def change(client: Client, run: str) -> JobRead:
        if tags or remove or note is not None:
            return client.edit(run, add_tags=tags, remove_tags=remove, note=note)
        return client.get(run)

    def say(job: JobRead) -> str:
        line = f"{job.id}  {' '.join(map(_quote, job.tags)) or 'no tags'}"
        return f"{line}\n{job.note}" if job.note else line

    ask_each(url, runs, change, say, as_json=as_json)


def _tell_apart(url: str | None, run: str, others: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return runs and tags: the other arguments are runs if each names one, and tags if none does."""
    unknown = []
    with open_client(url) as client:
        for other in others:
            try:
                client.get(other)
            except JobNotFound:
                unknown.append(other)
    if 0 < len(unknown) < len(others):
        raise click.UsageError(f"{', '.join(unknown)}: no run; give tags to several runs by --add.")
    return ((run,), others) if unknown else ((run, *others), ())


def _quote(tag: str) -> str:
    return f'"{tag}"' if " " in tag else tag


@click.command()
@runs_argument
@url_option
@json_option
def delete_command(runs: tuple[str, ...], url: str | None, as_json: bool) -> None:
    """Delete runs that have ended; for some days `ganvas undelete` brings them back, by their ids."""

    def say(job: JobRead) -> str:
        return f"{job.id}  deleted  {job.name}"

    ask_each(url, runs, lambda client, run: client.delete(run), say, as_json=as_json)


@click.command()
@runs_argument
@url_option
@json_option
def undelete_command(runs: tuple[str, ...], url: str | None, as_json: bool) -> None:
    """Bring deleted runs back as they were; their ids name them, or the beginnings of these."""

    def say(job: JobRead) -> str:
        return f"{job.id}  is back  {job.name}"

    ask_each(url, runs, lambda client, run: client.restore(run), say, as_json=as_json)
