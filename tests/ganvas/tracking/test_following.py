"""Folders that are shown without being imported."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from api.server.http.connections import build_config
from api.server.settings import Settings
from ganvas import Client
from ganvas.app import build_app
from ganvas.tracking.sender.following import Follower, ReadOnlyApp
from tests.dashboard.web.test_readers import Offers
from tests.ganvas.conftest import RunCommand
from tests.ganvas.tracking.conftest import Recorded
from tests.support.servers import make_home


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """Show a folder of runs; gives the address."""
    ends: list[Callable[[], object]] = []

    def show(folder: Path) -> str:
        settings = Settings(home=make_home(tmp_path / "home"), port=0)
        server = uvicorn.Server(build_config(ReadOnlyApp(build_app(settings), "secret"), settings))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        wait_for(lambda: server.started)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        follower = Follower([folder])
        follower.start(f"{url}/secret")
        ends.extend([follower.stop, lambda: setattr(server, "should_exit", True), lambda: thread.join(10)])
        return url

    yield show
    for end in ends:
        end()


def wait_for(condition: Callable[[], Any]) -> Any:
    until = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.05)
    return found


def test_folders_are_followed_to_their_end_and_stay_as_they_are(
    record: Callable[[], Recorded], tmp_path: Path, shown: Callable[[Path], str]
) -> None:
    first = record()
    first.run.log({"g_loss": 1.0}, step=1)
    before = sorted(os.listdir(first.folder.path))
    url = shown(tmp_path)
    with Client(url) as client:
        (job,) = wait_for(lambda: list(client.list()))
        first.run.log({"g_loss": 2.0}, step=2)
        wait_for(lambda: client.get(job.id).iteration == 2)
        # One that comes later.
        record().run.close()
        wait_for(lambda: [each.state for each in client.list()].count("succeeded") == 1)
        first.run.close()
        wait_for(lambda: {each.state for each in client.list()} == {"succeeded"})
    assert sorted(os.listdir(first.folder.path)) == sorted([*before, "end.json"])


def test_nobody_else_can_change_what_is_shown(recorded: Recorded, shown: Callable[[Path], str]) -> None:
    recorded.run.close()
    url = shown(recorded.folder.path)
    with Client(url) as client:
        (job,) = wait_for(lambda: list(client.list()))
    for method, path in (
        ("POST", "/jobs"),
        ("POST", "/runs"),
        ("DELETE", f"/jobs/{job.id}"),
        ("PATCH", f"/jobs/{job.id}"),
    ):
        answer = httpx.request(method, url + path, json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
        assert "can only be read" in answer.json()["error"]["message"]
    assert httpx.get(f"{url}/jobs/{job.id}").status_code == 200
    # Pages offer nothing that would be refused, and say why.
    offers = Offers()
    for path in ("/", f"/runs/{job.id}", f"/compare?run={job.id}", "/figures", "/queue-and-workers"):
        html = httpx.get(url + path, headers={"accept": "text/html"}, timeout=60).text
        assert "Folders of runs, shown read-only" in html
        offers.feed(html)
    posted = {path for method, path in offers.found if method == "post"}
    assert posted == {"/theme", "/runs/columns", "/runs/view"}
    assert not {path for _, path in offers.found} & {"/new", "/share-links"}
    for path in posted:
        assert httpx.post(url + path, data={"back": "/"}, timeout=60).status_code == 303
    # The control: whoever knows the secret may write.
    assert httpx.post(f"{url}/secret/jobs", json={}).status_code == 422


def test_open_wants_folders_and_folders_want_open(ganvas: RunCommand, tmp_path: Path) -> None:
    for arguments in (["--open"], [str(tmp_path)]):
        outcome = ganvas("up", *arguments)
        assert (outcome.status, "ganvas up --open FOLDER" in outcome.err) == (2, True)
