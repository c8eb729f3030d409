"""A commit's page on a forge that is known, from a checkout's remote. Whatever else that says leads nowhere."""

import re

# How each forge writes the page of a commit; a host that begins with the forge's name is one of its own servers.
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
    """Return the https address of the commit's page, or nothing where the remote is on no forge that is known."""
    found = next((match for pattern in _REMOTES if (match := pattern.fullmatch(remote or ""))), None)
    if found is None or not commit or not _COMMIT.fullmatch(commit):
        return ""
    page = _PAGES.get(found["host"].partition(".")[0])
    return f"https://{found['host']}/{found['path']}/{page}/{commit}" if page else ""
