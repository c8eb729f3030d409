"""What was not committed when an attempt began: a size with the job, the text at its own address."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.support.services import TINY_SPEC, sha256

DIFF = "--- a/train.py\n+++ b/train.py\n@@ -1 +1,2 @@\n-rate = 1\n+rate = 2\n+# <script>é\n"


def claim(client: TestClient, **provenance: Any) -> str:
    client.post("/jobs", json=TINY_SPEC)
    body = {"worker": "w", "devices": ["cpu"], "provenance": {"commit": "c" * 40, **provenance}}
    job_id: str = client.post("/workers/claim", json=body).json()["job_id"]
    return job_id


def test_a_job_says_how_large_its_uncommitted_changes_are_and_where_they_lie(client: TestClient) -> None:
    job_id = claim(client, uncommitted_diff=DIFF)
    answer = client.get(f"/jobs/{job_id}")
    assert answer.json()["attempts"][0]["provenance"]["diff"] == {
        "added": 2,
        "removed": 1,
        "size": len(DIFF.encode()),
        "sha256": sha256(DIFF.encode()),
        "url": f"/jobs/{job_id}/attempts/1/diff",
    }
    assert "rate = 2" not in answer.text


def test_uncommitted_changes_are_a_download_of_plain_text(client: TestClient) -> None:
    answer = client.get(f"/jobs/{claim(client, uncommitted_diff=DIFF)}/attempts/1/diff")
    assert answer.text == DIFF
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="attempt-1.diff"'


@pytest.mark.parametrize("path", ["{job}/attempts/1/diff", "{job}/attempts/7/diff", "nobody/attempts/1/diff"])
def test_where_nothing_was_uncommitted_nothing_is_found(client: TestClient, path: str) -> None:
    job_id = claim(client)
    assert client.get(f"/jobs/{job_id}").json()["attempts"][0]["provenance"]["diff"] is None
    answer = client.get(f"/jobs/{path.format(job=job_id)}")
    code = "job_not_found" if path.startswith("nobody") else "diff_not_found"
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)
