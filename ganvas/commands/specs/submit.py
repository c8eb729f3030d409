"""`ganvas submit`: submits a spec to the service, on request pinned to a commit."""

import re
from pathlib import Path

import click

from ganlib.events import Severity
from ganlib.runtime.terminal import strip_controls
from ganlib.spec.parse import parse_spec
from ganvas.commands.options import (
    json_option,
    open_client,
    print_json,
    read_spec,
    set_option,
    spec_argument,
    url_option,
)
from ganvas.commands.runs.findings import fail_on_option, leave_at_fault
from ganvas.progress import follow_job
from worker.machine.git import find_checkout, list_changed_files, read_commit

HEAD = "HEAD"
_DIGITS = re.compile(r"[0-9a-f]{7,40}")
_SHOWN_FILES = 10


def check_commit(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Return the digits of a commit in lower case, or HEAD; raises BadParameter for anything else."""
    if value is None or value.upper() == HEAD:
        return value and HEAD
    if not _DIGITS.fullmatch(value.lower()):
        raise click.BadParameter(
            f"{value!r} is neither HEAD nor the first 7 to 40 digits of a commit. "
            "Where the spec follows, write --commit HEAD."
        )
    return value.lower()


@click.command()
@spec_argument
@set_option
@click.option("--wait", is_flag=True, help="Follow the job to its end; exit status 0 only if it succeeded.")
@fail_on_option
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
def submit_command(
    spec_path: Path,
    overrides: tuple[str, ...],
    wait: bool,
    fail_on: Severity | None,
    commit: str | None,
    made_from: str | None,
    idempotency_key: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Submit SPEC (a YAML or JSON file, or a recipe's name) and print the job's id and its page."""
    if fail_on is not None and not wait:
        raise click.UsageError("--fail-on looks at a job while it is followed; add --wait.")
    spec = parse_spec(read_spec(spec_path, overrides))
    if commit is not None:
        pinned = spec.queue.model_copy(update={"commit": resolve_commit(commit)})
        spec = spec.model_copy(update={"queue": pinned})
    with open_client(url) as client:
        job = client.submit(spec, idempotency_key, made_from)
        if wait:
            if not as_json:
                click.echo(f"{job.id}  {client.page_url(job.id)}")
            with leave_at_fault(job.id):
                job = follow_job(client, job.id, show_bar=not as_json, fail_on=fail_on)
        page_url = client.page_url(job.id)
    if as_json:
        print_json(job)
    elif not wait:
        click.echo(f"{job.id}  {job.state}  {page_url}")
        if job.obstacle:
            click.echo(f"No worker takes this run: {job.obstacle}.", err=True)
    else:
        click.echo(f"{job.state}  {strip_controls(job.verdict.text)}")
    if wait and job.state != "succeeded":
        raise click.exceptions.Exit(1)


def resolve_commit(commit: str) -> str:
    """Return these digits, or for HEAD the whole commit of this installation's checkout.

    If the installation is not editable, the checkout in the current folder is used. Raises ClickException if there
    is none, or if tracked files were changed, because no worker runs those changes.
    """
    if commit != HEAD:
        return commit
    checkout = find_checkout() or find_checkout(Path.cwd() / "ganlib")
    head = read_commit(checkout)
    if head is None:
        raise click.ClickException(
            "There is no git checkout of Ganvas here, nor a git to ask, and GANVAS_COMMIT names no commit; "
            "name it yourself: --commit 1a2b3c4."
        )
    changed = list_changed_files(checkout) if checkout else []
    if changed is None:
        raise click.ClickException(f"git cannot say whether files in {checkout} were changed; name the commit.")
    if changed:
        shown = ", ".join(changed[:_SHOWN_FILES]) + (" …" if len(changed) > _SHOWN_FILES else "")
        raise click.ClickException(
            f"{checkout} holds changes that are not committed, which no worker would run: {shown}. "
            "Commit them, or submit without --commit."
        )
    return head
