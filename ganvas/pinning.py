"""Which commit `ganvas submit --commit` pins a job to."""

import re
from pathlib import Path

import click

from worker.checkout import find_checkout, list_changed_files, read_commit

HEAD = "HEAD"
_DIGITS = re.compile(r"[0-9a-f]{7,40}")
_SHOWN_FILES = 10


def check_commit(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Return the digits that were given, in lower case, or HEAD; raises BadParameter for anything else."""
    if value is None or value.upper() == HEAD:
        return value and HEAD
    if not _DIGITS.fullmatch(value.lower()):
        raise click.BadParameter(
            f"{value!r} is neither HEAD nor the first 7 to 40 digits of a commit. "
            "Where the spec follows, write --commit HEAD."
        )
    return value.lower()


def resolve_commit(commit: str) -> str:
    """Return these digits, or for HEAD the whole commit of this installation's checkout.

    An installation that is not editable is taken to come from the checkout that the command stands in.
    Raises ClickException where there is neither, and where tracked files were changed, which no worker runs.
    """
    if commit != HEAD:
        return commit
    checkout = find_checkout() or find_checkout(Path.cwd() / "ganlib")
    found = read_commit(checkout)
    if found is None:
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
    return found
