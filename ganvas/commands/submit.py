"""`ganvas submit`: hand a spec to the service."""

from pathlib import Path

import click

from ganlib.spec import parse_spec
from ganvas.commands.options import (
    json_option,
    open_client,
    print_json,
    read_spec,
    set_option,
    spec_argument,
    url_option,
)
from ganvas.pinning import HEAD, check_commit, resolve_commit
from ganvas.progress import follow_job


@click.command()
@spec_argument
@set_option
@click.option("--wait", is_flag=True, help="Follow the job to its end; exit status 0 only if it succeeded.")
@click.option(
    "--commit",
    metavar="[SHA|HEAD]",
    is_flag=False,
    flag_value=HEAD,
    is_eager=True,
    callback=check_commit,
    help="Only workers that run this commit take the job; HEAD, or no value: the one that is checked out here.",
)
@click.option(
    "--made-from", metavar="ID", help="The job whose spec this one changes; their pages then link each other."
)
@click.option("--idempotency-key", metavar="KEY", help="Submit at most once under this key.")
@url_option
@json_option
def command(
    spec_path: Path,
    overrides: tuple[str, ...],
    wait: bool,
    commit: str | None,
    made_from: str | None,
    idempotency_key: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Submit SPEC (a YAML or JSON file, or a recipe's name) and print the job's id and its page."""
    spec = parse_spec(read_spec(spec_path, overrides))
    if commit is not None:
        pinned = spec.queue.model_copy(update={"commit": resolve_commit(commit)})
        spec = spec.model_copy(update={"queue": pinned})
    with open_client(url) as client:
        job = client.submit(spec, idempotency_key, made_from)
        if wait:
            if not as_json:
                click.echo(f"{job.id}  {client.page_url(job.id)}")
            job = follow_job(client, job.id, show_bar=not as_json)
        page_url = client.page_url(job.id)
    if as_json:
        print_json(job)
    elif not wait:
        click.echo(f"{job.id}  {job.state}  {page_url}")
    if wait and job.state != "succeeded":
        raise click.exceptions.Exit(1)
