"""Reads commit and uncommitted changes of the git checkout that this installation runs from.

Nothing here may stop a worker: what cannot be read is left empty.
"""

import os
import re
import subprocess
from pathlib import Path

import ganlib

_COMMIT = re.compile(r"[0-9a-f]{40}")


def find_checkout(folder: Path | None = None) -> Path | None:
    """Return the top folder of the git checkout that tracks the package in `folder` (default: ganlib), or None.

    A package that is installed inside another repository, such as in its .venv, is not tracked by it.
    """
    folder = folder or Path(ganlib.__file__).parent
    if not run_git(folder, "ls-files", "--error-unmatch", "__init__.py"):
        return None
    top = (run_git(folder, "rev-parse", "--show-toplevel") or "").strip()
    return Path(top) if top else None


def read_commit(checkout: Path | None = None) -> str | None:
    """Return the commit of the checkout (default: this installation's), or of the image.

    An image holds no checkout; GANVAS_COMMIT names the commit that it was built from.
    """
    checkout = checkout or find_checkout()
    text = run_git(checkout, "rev-parse", "HEAD") if checkout else os.environ.get("GANVAS_COMMIT")
    commit = (text or "").strip().lower()
    return commit if _COMMIT.fullmatch(commit) else None


def list_changed_files(checkout: Path) -> list[str] | None:
    """List the tracked files that were changed since the commit; None if git fails."""
    status = run_git(checkout, "status", "--porcelain", "--untracked-files=no", "--no-renames")
    return None if status is None else [line[3:] for line in status.splitlines()]


def is_dirty(checkout: Path | None) -> bool:
    """Return whether code other than the commit's may run: tracked files were changed, or git fails."""
    return checkout is not None and list_changed_files(checkout) != []


def run_git(folder: Path, *arguments: str) -> str | None:
    """Return the output of git, or None if it fails: no git, no checkout, no commit yet, too slow."""
    # A checkout mounted into a container belongs to another user; its own hooks and monitors must not run.
    options = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false")
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *options, *arguments],
            capture_output=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", errors="replace")
