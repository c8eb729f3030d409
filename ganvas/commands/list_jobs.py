"""`ganvas list`: the jobs, newest first."""

from typing import get_args

import click

from api.schemas import JobState, JobSummary
from ganvas.commands.options import json_option, open_client, print_json, url_option
from ganvas.progress import human_age, human_losses


@click.command()
@click.option("--state", type=click.Choice(get_args(JobState)), help="Only jobs in this state.")
@click.option("--name", help="Only jobs whose name holds this text.")
@click.option("--tag", help="Only jobs with this tag.")
@click.option("--recipe", help="Only jobs that repeat a paper whose name holds this text.")
@click.option(
    "--where",
    metavar="COMPARISON",
    multiple=True,
    help="Only jobs for which this holds, of the spec or of a metric's newest value (repeatable): "
    "losses.generator=hinge, techniques.technique=feature_matching, 'eval/fid<30'.",
)
@click.option("--sort", help="By a column, `duration` or a metric; `-` in front turns it round.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many to print.")
@click.option("--cursor", help="Go on where an earlier list ended (its `next`).")
@url_option
@json_option
def command(
    state: JobState | None,
    name: str | None,
    tag: str | None,
    recipe: str | None,
    where: tuple[str, ...],
    sort: str | None,
    limit: int,
    cursor: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """List jobs, newest first unless sorted otherwise."""
    with open_client(url) as client:
        page = client.list_page(
            state=state,
            name=name,
            tag=tag,
            recipe=recipe,
            where=where,
            sort=sort or "-created_at",
            limit=limit,
            cursor=cursor,
        )
    if as_json:
        print_json(page)
        return
    if not page.items:
        asked = any((state, name, tag, recipe, where))
        click.echo("No such job." if asked else "No jobs. Submit one: ganvas submit recipes/winkler-mnist.yaml")
        return
    click.echo(HEADING)
    for job in page.items:
        click.echo(render_row(job))
    for job in page.items:
        if job.obstacle:
            click.echo(f"{job.id} waits: {job.obstacle}")
    if page.next:
        click.echo(f"… more: ganvas list --limit {limit} --cursor {page.next}")


HEADING = f"{'id':<12}  {'state':<10}{'iterations':>16}  {'losses':<28}{'age':>9}  name"


def render_row(job: JobSummary) -> str:
    """Return one line of the table."""
    progress = f"{job.iteration:,}/{job.iterations:,}"
    age = human_age(job.created_at)
    return f"{job.id}  {job.state:<10}{progress:>16}  {human_losses(job):<28}{age:>9}  {job.name}"
