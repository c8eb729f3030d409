"""The commit's page on a forge: an https address there, or none at all."""

import pytest
from fastapi.testclient import TestClient

from dashboard.web.commit_links import find_commit_url
from tests.dashboard.web.test_pages import read
from tests.support.fake_worker import COMMIT, PROVENANCE, FakeWorker


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://github.com/ada/ganvas.git", f"https://github.com/ada/ganvas/commit/{COMMIT}"),
        ("https://github.com/ada/ganvas/", f"https://github.com/ada/ganvas/commit/{COMMIT}"),
        ("git@github.com:ada/gan.vas.git", f"https://github.com/ada/gan.vas/commit/{COMMIT}"),
        ("ssh://git@gitlab.example.org:2222/group/sub/ganvas", f"https://gitlab.example.org/group/sub/ganvas/-/commit/{COMMIT}"),
        ("https://bitbucket.org/ada/ganvas", f"https://bitbucket.org/ada/ganvas/commits/{COMMIT}"),
        ("https://ada:secret@codeberg.org/ada/ganvas.git", f"https://codeberg.org/ada/ganvas/commit/{COMMIT}"),
    ],
)  # fmt: skip
def test_commit_has_a_page_on_a_forge_that_is_known(remote: str, url: str) -> None:
    assert find_commit_url(remote, COMMIT) == url


@pytest.mark.parametrize(
    "remote",
    [
        None, "", "/srv/git/ganvas.git", "https://example.org/ada/ganvas", "https://github.com",
        "https://github.com/ada",
        "javascript:alert(1)//github.com/a/b", "javascript://github.com/a/b%0aalert(1)",
        "data:text/html,github.com/a/b",
        "https://github.com/ada/../../evil", "https://github.com/ada/ganvas?x=<script>",
        'https://github.com/a/b"onclick=1',
        "https://github.com@evil.example/a/b", "https://evil.example/github.com/a/b", "https://githubcom/a/b",
        "https://github.com/a/b\nhttps://github.com/a/b", "https://github.com/a b/c",
    ],
)  # fmt: skip
def test_anything_else_leads_nowhere(remote: str | None) -> None:
    assert find_commit_url(remote, COMMIT) == ""


def test_no_commit_has_no_page() -> None:
    assert find_commit_url("https://github.com/ada/ganvas", None) == ""


def test_run_page_links_to_the_commit(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    provenance = PROVENANCE | {"remote": "git@github.com:ada/ganvas.git"}
    client.post("/workers/claim", json={"worker": "w", "provenance": provenance})
    page = read(client, f"/runs/{job}")
    assert f'<a href="https://github.com/ada/ganvas/commit/{COMMIT}" rel="noreferrer noopener">' in page
    assert "Not the commit alone: 2 lines added, 1 removed" in page
