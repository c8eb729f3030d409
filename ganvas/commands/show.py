"""`ganvas show`: one job."""

import click
import yaml

from api.schemas import JobRead
from ganvas.commands.options import json_option, open_client, print_json, url_option
from ganvas.progress import human_age, human_losses


@click.command()
@click.argument("job_id", metavar="ID")
@url_option
@json_option
def command(job_id: str, url: str | None, as_json: bool) -> None:
    """Show one job: where it stands, what ran, its spec."""
    with open_client(url) as client:
        job, page_url = client.get(job_id), client.page_url(job_id)
    if as_json:
        print_json(job)
        return
    click.echo(render_job(job))
    click.echo(f"page        {page_url}\n")
    click.echo(
        yaml.safe_dump(job.spec, sort_keys=False, default_flow_style=None, width=96, allow_unicode=True), nl=False
    )


def render_job(job: JobRead) -> str:
    """Return the job's head and its attempts, as text."""
    lines = [
        f"{job.name}  ({job.id})",
        f"state       {job.state}, iteration {job.iteration:,} of {job.iterations:,}",
        f"losses      {human_losses(job) or '–'}",
        f"created     {job.created_at:%Y-%m-%d %H:%M:%S} UTC ({human_age(job.created_at)} ago)",
        f"commit      {job.commit or '–'}",
        f"seed        {job.seed}",
        f"latents     {job.latents_sha256 or '–'}",
    ]
    if job.obstacle:
        lines.append(f"waits       {job.obstacle}")
    if job.reason:
        lines.append(f"reason      {job.reason.code}: {job.reason.message}")
    for attempt in job.attempts:
        end = attempt.end or "running"
        why = f" ({attempt.reason.message})" if attempt.reason else ""
        lines.append(
            f"attempt {attempt.attempt:<4}from iteration {attempt.resumed_from:,} on {attempt.worker}: {end}{why}"
        )
    return "\n".join(lines)
