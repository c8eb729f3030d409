"""Reads commit, uncommitted changes, library versions and device, which are recorded with every run.

A worker's describe the code of this installation, not the folder that it was started in; those of a program of
somebody's own describe the checkout that holds it. Nothing here may stop a run: what cannot be read is left empty.
"""

import os
import platform
import re
import shlex
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from api.attempts.schemas import Provenance
from ganlib.runtime.cpu import count_threads
from ganlib.spec.storable import replace_unstorable
from worker.machine.devices import describe_device
from worker.machine.git import find_checkout, is_dirty, read_commit, run_git

MAX_DIFF_BYTES = 262_144
MAX_VERSIONS = 100
PACKAGES = (
    "ganvas",
    "torch",
    "torchvision",
    "numpy",
    "pillow",
    "safetensors",
    "scikit-learn",
    "pydantic",
    "httpx",
    "celery",
)
# Files that usually hold secrets, tracked or not, are left out.
SECRET_FILES = (".env*", "*.pem", "*.key", "*secret*", "*credential*")
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|(^|_)KEY(_|$)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def read_provenance() -> Provenance:
    """Describe this installation now; the working tree may have changed since the last call."""
    checkout = find_checkout()
    return Provenance(
        **_describe_checkout(checkout),
        commit=read_commit(checkout),
        remote=_read_remote(checkout, os.environ.get("GANVAS_REMOTE_URL", "")),
        versions=_read_versions(),
        threads=count_threads(),
        # Not sys.argv, which may hold a broker's password.
        command="python -m worker.trainer.process",
    )


def read_program_provenance(folder: Path, command: Sequence[str], modules: Iterable[str]) -> Provenance:
    """Describe a program of somebody's own, and this machine.

    folder: where its code lies. command: what started it; values that look like secrets are left out. modules: the
    top-level ones that it has loaded, whose packages' versions are recorded.
    """
    top = (run_git(folder, "rev-parse", "--show-toplevel") or "").strip()
    checkout = Path(top) if top else None
    return Provenance(
        **_describe_checkout(checkout),
        commit=read_commit(checkout) if checkout else None,
        remote=_read_remote(checkout),
        versions=_find_versions(modules),
        command=_hide_secrets(_CONTROL.sub(" ", replace_unstorable(shlex.join(_drop_secrets(command)))))[:500],
    )


def _describe_checkout(checkout: Path | None) -> dict[str, Any]:
    """Return what a checkout and this machine have to tell, whatever runs there."""
    diff, truncated = _read_diff(checkout) if checkout else ("", False)
    branch = _ask_git(checkout, "symbolic-ref", "--short", "--quiet", "HEAD").strip() if checkout else ""
    return {
        "dirty": is_dirty(checkout),
        "branch": branch[:200] or None,
        "uncommitted_diff": diff,
        "diff_truncated": truncated,
        "python": platform.python_version(),
        "device": describe_device(),
        "hostname": replace_unstorable(socket.gethostname())[:200],
        "platform": platform.platform()[:200],
    }


def _drop_secrets(command: Sequence[str]) -> list[str]:
    """Return the words of a command without the values of options such as --api-key."""
    kept: list[str] = []
    for word in command:
        option, mark, _ = word.partition("=")
        name = option.upper().replace("-", "_")
        if kept and kept[-1].startswith("-") and _SECRET_NAME.search(kept[-1].upper().replace("-", "_")):
            kept.append("…") if not word.startswith("-") else kept.append(word)
        else:
            kept.append(f"{option}=…" if mark and _SECRET_NAME.search(name) else word)
    return kept


def _find_versions(modules: Iterable[str]) -> dict[str, str]:
    packages = packages_distributions()
    names = sorted({name for module in modules for name in packages.get(module, [])} | {"ganvas"})
    versions = {}
    for name in names[:MAX_VERSIONS]:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)[:100]
    return versions


def read_own_version() -> str:
    """Return the version of Ganvas that is installed."""
    return _read_versions().get("ganvas", "")[:50]


def _read_remote(checkout: Path | None, otherwise: str = "") -> str | None:
    """Return the URL that the code was cloned from, or this other one, without user and password."""
    remote = _ask_git(checkout, "remote", "get-url", "origin").strip() if checkout else ""
    remote = remote or otherwise.strip()
    scheme, mark, rest = remote.partition("://")
    if mark:
        host, slash, path = rest.partition("/")
        remote = f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
    return _hide_secrets(_CONTROL.sub("", remote))[:300] or None


def _read_diff(checkout: Path) -> tuple[str, bool]:
    """Return the names of untracked files and the changes since HEAD, and whether they were cut."""
    excluded = [f":(exclude,glob,icase)**/{pattern}" for pattern in SECRET_FILES]
    untracked = _ask_git(checkout, "ls-files", "--others", "--exclude-standard", "--", ".", *excluded)
    changes = _ask_git(
        checkout, "diff", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD", "--", ".", *excluded
    )
    names = "".join(f"# untracked: {name}\n" for name in untracked.splitlines())
    text = _hide_secrets(names + changes)
    # Control characters are of no use, and take six bytes each in JSON.
    whole = _CONTROL.sub("�", text).encode("utf-8")
    return whole[:MAX_DIFF_BYTES].decode("utf-8", errors="ignore"), len(whole) > MAX_DIFF_BYTES


def _hide_secrets(text: str) -> str:
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET_NAME.search(name.upper()):
            text = text.replace(value, f"[{name}]")
    return text


def _ask_git(folder: Path, *arguments: str) -> str:
    return run_git(folder, *arguments) or ""


@cache
def _read_versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)[:100]
        except PackageNotFoundError:
            continue
    return versions
