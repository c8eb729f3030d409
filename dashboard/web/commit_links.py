"""A commit as text and as a link: the address of its page on the server of its remote."""

import re

from dashboard.web.formats import NOTHING

# The path of a commit's page on each known kind of git server, by the first part of its host name.
_PAGES = {
    "github": "commit",
    "gitlab": "-/commit",
    "codeberg": "commit",
    "gitea": "commit",
    "bitbucket": "commits",
}
_HOST = r"(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)+)"
_PATH = r"(?P<path>[A-Za-z0-9_][\w.-]*(?:/[A-Za-z0-9_][\w.-]*?){1,6})(?:\.git)?/?"
_REMOTES = (
    re.compile(rf"https?://(?:[^/@\s]*@)?{_HOST}(?::443)?/{_PATH}", re.ASCII),
    re.compile(rf"ssh://(?:[\w.-]+@)?{_HOST}(?::\d+)?/{_PATH}", re.ASCII),
    re.compile(rf"(?:[\w.-]+@)?{_HOST}:{_PATH}", re.ASCII),
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def find_commit_url(remote: str | None, commit: str | None) -> str:
    """Return the https address of the commit's page; empty for a remote on a server that is not known."""
    address = next((match for pattern in _REMOTES if (match := pattern.fullmatch(remote or ""))), None)
    if address is None or not commit or not _COMMIT.fullmatch(commit):
        return ""
    page = _PAGES.get(address["host"].partition(".")[0])
    return f"https://{address['host']}/{address['path']}/{page}/{commit}" if page else ""


def short_commit(commit: str | None) -> str:
    """Return the commit's first seven digits."""
    return commit[:7] if commit else NOTHING
