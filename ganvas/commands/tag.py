"""`ganvas tag`: a job's tags and note."""

import click

from ganvas.commands.options import json_option, open_client, print_json, url_option


@click.command()
@click.argument("job_id", metavar="ID")
@click.argument("tags", metavar="[TAG]...", nargs=-1)
@click.option("--remove", metavar="TAG", multiple=True, help="Take this tag away (repeatable).")
@click.option("--note", metavar="TEXT", help="Write this into the job's note.")
@url_option
@json_option
def command(
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
    click.echo(f"{job.id}  {' '.join(job.tags) or 'no tags'}")
    if job.note:
        click.echo(job.note)
