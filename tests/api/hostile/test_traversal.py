"""Names that would lead out of a folder, in every place that takes a name: none ever reaches a file."""

from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from ganlib.events import StoredFile
from tests.api.hostile.attempt import HeldAttempt
from tests.api.hostile.names import NAMES
from tests.support.services import make_spec

SECRET = "what no answer may hold"


@pytest.fixture(autouse=True)
def _secret(home: Path) -> None:
    for folder in (home, home.parent):
        (folder / "secret").write_text(SECRET, encoding="utf-8")


def list_files(folder: Path) -> set[str]:
    """All files but the database's and the broker's messages, which wake the workers."""
    files = (path for path in folder.parent.rglob("*") if path.is_file())
    return {str(path) for path in files if "sqlite3" not in path.name and path.suffix != ".msg"}


# No database is asked for these.
FILES = ["/artifacts/{name}", "/static/x/{name}", "/static/{name}/static/core/page.js", "/{name}"]
ROWS = [
    "/jobs/{name}",
    "/jobs/{name}/log",
    "/runs/{name}",
    "/runs/x/logits/{name}.png",
    "/runs/{name}/again",
    "/jobs/x/checkpoints/{name}/generator",
]
SQLITE_ALONE = pytest.mark.parametrize("hostile_settings", ["sqlite"], indirect=True)


@SQLITE_ALONE
@pytest.mark.parametrize("path", FILES)
def test_no_name_in_the_address_of_a_file_reaches_another(client: TestClient, path: str) -> None:
    check_addresses(client, path)


@pytest.mark.parametrize("path", ROWS)
def test_no_name_in_the_address_of_a_row_reaches_a_file(client: TestClient, path: str) -> None:
    check_addresses(client, path)


def check_addresses(client: TestClient, path: str) -> None:
    for name in NAMES:
        for written in {quote(name, safe=""): None, quote(name, safe="/%"): None}:
            answer = client.get(path.format(name=written))
            assert answer.status_code in (200, 307, 404, 405, 422), (name, answer.status_code)
            assert SECRET not in answer.text, name
            assert "root:" not in answer.text, name
            # Any digest gives the present script, and the client itself takes steps out of an address.
            found = answer.request.url.path
            is_ours = found in ("/", "/docs", "/jobs", "/metrics") or found.endswith("/static/core/page.js")
            assert answer.status_code != 200 or is_ours, name


@SQLITE_ALONE
def test_no_name_makes_a_file_where_a_file_is_put(client: TestClient, home: Path) -> None:
    before = list_files(home)
    for name in NAMES:
        written = quote(name, safe="")
        answer = client.put(
            f"/artifacts/{written}", content=b"x", headers={"content-type": "application/octet-stream"}
        )
        # Without a name it is the address of bundles, which nobody may put to either.
        is_nameless = answer.headers.get("location", "").endswith("localhost/artifacts")
        assert answer.status_code in (404, 405, 422) or (answer.status_code == 307 and is_nameless), name
    assert list_files(home) == before


def test_no_name_is_a_data_set_or_a_name_of_a_job(client: TestClient) -> None:
    for name in NAMES:
        specs = [{"dataset": name}, {"dataset": {"name": name}}, {"tags": [name]}, {"generator": {"preset": name}}]
        specs.append({"name": name})
        for changes in specs:
            # Names and tags are labels: a word of letters, digits and dots is one.
            wanted = (201, 422) if changes.keys() & {"name", "tags"} else (422,)
            assert client.post("/jobs", json=make_spec(**changes)).status_code in wanted, changes


@SQLITE_ALONE
@pytest.mark.parametrize("root", ["folder", "images"])
def test_no_folder_of_images_lies_outside_the_data(client: TestClient, root: str) -> None:
    for name in NAMES:
        for field in ("path", "folder", "root"):
            changes = {"dataset": {"name": root, field: name, "image_size": 8, "channels": 1}}
            answer = client.post("/jobs", json=make_spec(**changes))
            assert answer.status_code in (201, 422), name
            if answer.status_code == 201:
                assert ".." not in name.split("/"), name
                assert not name.startswith(("/", "~", "\\")), name


def test_the_path_in_an_event_is_inside_its_run_or_refused(attempt: HeldAttempt, home: Path) -> None:
    before = list_files(home)
    for name in NAMES:
        event = {
            "kind": "checkpoint_saved",
            "iteration": 1,
            "file": {"path": name, "sha256": "a" * 64, "size": 1},
        }
        assert attempt.send(event) in (409, 422), name
    assert list_files(home) == before


@pytest.mark.parametrize(
    "path", ["/x", "../x", "a/../b", "a\\b", "C:x", "\\\\server\\x", "a\0", "a\nb", "a\u202eb", "x" * 201]
)
def test_a_stored_file_has_a_plain_path(path: str) -> None:
    StoredFile(path="checkpoints/100.safetensors", sha256="a" * 64, size=1)
    with pytest.raises(ValueError, match="path"):
        StoredFile(path=path, sha256="a" * 64, size=1)
