"""Pages as the server draws them: complete before any script runs."""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from jinja2 import Environment

from dashboard.pages import ROOMS, Room
from dashboard.runs.view import ROWS
from dashboard.web.rendering import ROOMS as FOLDER
from dashboard.web.rendering import CompiledTemplates
from tests.support.fake_worker import COMMIT, FakeWorker

BROWSER = {"accept": "text/html,application/xhtml+xml"}
SCRIPT = "<script>alert(1)</script>"


def read(client: TestClient, path: str, status: int = 200) -> str:
    """Return a page's text with its white space run together."""
    response = client.get(path, headers=BROWSER)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return re.sub(r"\s+", " ", response.text)


def words(html: str) -> str:
    """Return what a person reads: neither tags nor the sentences that a metric shows when it is hovered."""
    seen = re.sub(r'<span class="metric-note".*?</span>', "", html)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", seen))


def test_every_folder_with_routes_has_its_line_in_pages() -> None:
    folders = {path.parent.name for path in FOLDER.glob("*/routes.py")}
    assert sorted(room.build_router.__module__.split(".")[1] for room in ROOMS) == sorted(folders)


@pytest.mark.parametrize("room", [room for room in ROOMS if room.address], ids=lambda room: room.link_text)
def test_the_navigation_leads_to_each_page_and_names_the_present_one(client: TestClient, room: Room) -> None:
    html = read(client, room.address)
    links = re.findall(r'<a href="([^"]+)"( aria-current="page")?>([^<]+)</a>', html.split("</nav>")[0])
    assert [(href, text) for href, _, text in links] == [(r.address, r.link_text) for r in ROOMS if r.address]
    assert [text for _, is_current, text in links if is_current] == [room.link_text]


def test_empty_list_teaches_the_first_commands(client: TestClient) -> None:
    shown = words(read(client, "/"))
    assert "No runs yet" in shown
    assert "ganvas demo" in shown
    assert "ganvas submit recipes/winkler-mnist.yaml" in shown


def test_list_shows_state_progress_losses_commit_and_newest_grid(client: TestClient, worker: FakeWorker) -> None:
    worker.submit()
    worker.claim()
    worker.log_metrics(100)
    sha256 = worker.save_grid(200)
    html = read(client, "/?columns=newest,name,state,progress,time,generator,discriminator,commit")
    assert f'href="/artifacts/{sha256}"' in html
    shown = words(html)
    for part in ("first-light", "Running", "200 / 1,000", "2 min 53 s left", COMMIT[:7]):
        assert part in shown, part
    losses = re.findall(r'data-field="loss/\w+">([\d.]+)<', html)
    assert len(losses) == 2


def test_next_page_of_the_list_shows_the_runs_that_did_not_fit(client: TestClient, worker: FakeWorker) -> None:
    for number in range(ROWS + 1):
        worker.submit(name=f"run-{number:02}")
    first = read(client, "/")
    assert "run-50" in first
    assert "run-00" not in first
    following = re.search(r'href="([^"]+)" rel="next"', first)
    assert following is not None
    second = read(client, following[1].replace("&amp;", "&"))
    assert "run-00" in second
    assert "run-50" not in second
    assert 'rel="next"' not in second


def test_list_can_be_filtered_and_sorted_by_its_links(client: TestClient, worker: FakeWorker) -> None:
    worker.submit(name="bravo", tags=["sweep"])
    worker.submit(name="alpha")
    html = read(client, "/?sort=name")
    assert html.index(">alpha</a>") < html.index(">bravo</a>")
    assert 'aria-sort="ascending"' in html
    tagged = read(client, "/?tag=sweep")
    assert "bravo" in tagged
    assert ">alpha</a>" not in tagged
    nothing = words(read(client, "/?state=failed"))
    assert "No run has state:failed. Show all runs" in nothing
    assert "No runs yet" not in nothing
    unknown = words(read(client, "/?state=foo"))
    assert "there is no state foo; the states are queued, running" in unknown
    assert "alpha" not in unknown


@pytest.mark.parametrize(
    "query", ["state=bogus", "sort=evil", "name=%00", "tag=%22", "commit=%25", "name=" + "x" * 5000]
)
def test_list_leaves_out_what_it_does_not_understand(client: TestClient, query: str) -> None:
    read(client, f"/?{query}")


def test_cursor_of_nothing_is_a_page_that_says_so(client: TestClient) -> None:
    shown = words(read(client, "/?cursor=garbage", status=422))
    assert "The cursor does not belong to this list" in shown


def test_run_page_holds_spec_provenance_attempts_checkpoints_and_log(
    client: TestClient, worker: FakeWorker
) -> None:
    job = worker.submit(description="The final networks.", tags=["mnist"])
    worker.claim()
    worker.train(600, grid_every=200)
    worker.save_checkpoint(600)
    worker.log_line("the generator's gradient is large", 250, "warning")
    html = read(client, f"/runs/{job}")
    shown = words(html)
    for part in (
        "first-light", "The final networks.", "600 / 1,000", "Not examined yet", "1 warning in the log",
        "Grid 3 of 3", "losses: {discriminator: minimax, generator: non_saturating}",
        "cpu, 2 threads", "torch 2.15.0", "2 lines added, 1 removed", "bench-2:4711", "under way", "14 B",
        "warning: the generator&#39;s gradient is large",
    ):  # fmt: skip
        assert part in shown, part
    assert f'title="{COMMIT}"' in html
    assert html.count('<path class="curve') == 2
    assert all(len(path) > 100 for path in re.findall(r'<path class="curve[^>]* d="([^"]*)"', html))


def test_timeline_leads_from_grid_to_grid_without_a_script(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    shas = [worker.save_grid(iteration) for iteration in (100, 200, 300)]

    def steps(path: str) -> tuple[str, dict[str, str]]:
        html = read(client, path)
        picture = re.search(r'<img class="grid" src="([^"]+)"', html)
        assert picture is not None
        return picture[1], dict(re.findall(r'data-step="(\w+)"[^>]* href="([^"]+)"', html))

    picture, links = steps(f"/runs/{job}")
    assert picture == f"/artifacts/{shas[2]}"
    assert set(links) == {"first", "previous"}
    picture, links = steps(links["previous"])
    assert picture == f"/artifacts/{shas[1]}"
    assert set(links) == {"first", "previous", "next", "newest"}
    picture, links = steps(links["first"])
    assert picture == f"/artifacts/{shas[0]}"
    assert steps(f"/runs/{job}?iteration=260")[0] == f"/artifacts/{shas[2]}"
    assert steps(f"/runs/{job}?iteration=nonsense")[0] == f"/artifacts/{shas[2]}"
    assert client.get(picture).headers["content-type"] == "image/png"


def test_long_timeline_shows_a_strip_of_few_frames_from_first_to_newest(
    client: TestClient, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    for iteration in range(10, 410, 10):
        worker.save_grid(iteration)
    html = read(client, f"/runs/{job}")
    strip = [int(text) for text in re.findall(r'data-iteration="(\d+)"[^>]*><rect', html)]
    assert (len(strip), strip[0], strip[-1]) == (7, 10, 400)
    assert "Grid 40 of 40" in words(html)


def test_failed_run_says_why_at_the_top_and_what_to_try(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.log_metrics(410)
    worker.finish("failed", "training_diverged", "The generator's loss became NaN at iteration 412.")
    html = read(client, f"/runs/{job}")
    assert html.index("became NaN at iteration 412") < html.index("Progress")
    shown = words(html)
    for part in (
        "This run failed at iteration 410",
        "What to try. Lower both learning rates",
        "Diverged at iteration",
    ):
        assert part in shown, part
    assert "became NaN at iteration 412" in words(read(client, "/"))


def test_losses_that_are_no_numbers_are_named(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    values = {"loss/generator": "nan", "loss/discriminator": "inf"}
    worker.post({"kind": "metrics_logged", "iteration": 10, "values": values})
    shown = words(read(client, f"/runs/{job}"))
    assert "Generator loss not a number" in shown
    assert "Discriminator loss infinite" in shown


def test_run_that_failed_before_anything_shows_the_reason_once_and_no_empty_film_or_chart(
    client: TestClient, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    worker.finish("failed", "dataset_unavailable", "MNIST is not here; put it into MNIST/raw.")
    html = read(client, f"/runs/{job}")
    shown = words(html)
    attempts = html.split('id="attempts"')[1]
    assert "MNIST is not here; put it into MNIST/raw." in html.split('id="vitals"')[0]
    assert "MNIST is not here" not in attempts
    for absent in ("What to try.", "<curve-chart", "<grid-timeline", "ended at 0 %", "speed not yet known"):
        assert absent not in html, absent
    assert "It ended before its first iteration." in shown


def test_list_writes_one_dash_or_none_where_no_time_is_known(client: TestClient, worker: FakeWorker) -> None:
    def time_of(job: str) -> str:
        row = read(client, "/").split(f'data-run="{job}"')[1]
        return words(row.split('data-label="Time">')[1].split("</td>")[0]).strip()

    cancelled = worker.submit()
    client.post(f"/runs/{cancelled}/cancel")
    assert time_of(cancelled) == "–"
    started = worker.submit()
    worker.claim()
    assert time_of(started) == "–"
    worker.log_metrics(500)
    assert time_of(started) == "1 min 48 s left"


def test_cancel_question_says_what_a_cancel_means_and_how_to_keep_the_run(
    client: TestClient, worker: FakeWorker
) -> None:
    job = worker.submit()
    shown = words(read(client, f"/runs/{job}"))
    assert "It never starts; nothing is lost." in shown
    assert "Keep it" in shown
    worker.claim()
    assert "The worker stops after this iteration." in words(read(client, f"/runs/{job}"))


def test_api_page_has_the_header_theme_and_every_route(client: TestClient) -> None:
    html = read(client, "/docs")
    for part in ("/jobs/{job_id}/attempts/{attempt}/events", 'aria-current="page">API', 'href="/"', "Theme"):
        assert part in html, part
    schema = client.get("/openapi.json").json()
    assert html.count("<section id=") == sum(len(methods) for methods in schema["paths"].values())
    assert "Idempotency-Key" in words(html)
    # Every parameter and every answer says what it means.
    meanings = re.findall(r'<th scope="row"><code>([^<]*)</code></th><td>(.*?)</td>', html)
    assert len(meanings) > 100
    assert [name for name, meaning in meanings if not words(meaning).strip()] == []


def test_a_browser_at_an_address_of_the_api_comes_to_the_page_of_the_same_things(client: TestClient) -> None:
    for path in ("/workers", "/queue"):
        answer = client.get(path, headers=BROWSER)
        assert (answer.status_code, answer.headers["location"]) == (303, "queue-and-workers")
        assert "Queue and workers" in client.get(path, headers=BROWSER, follow_redirects=True).text
        # Everyone else gets what the API answers, and so do other methods.
        assert client.get(path).headers["content-type"] == "application/json"
        assert client.get(path, headers={"accept": "application/json, */*"}).status_code == 200
        assert client.post(path, headers=BROWSER).status_code == 405
    assert client.get("/jobs", headers=BROWSER).headers["content-type"] == "application/json"


def test_mark_is_found_where_browsers_look_for_it(client: TestClient) -> None:
    answer = client.get("/favicon.ico", follow_redirects=True)
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "image/svg+xml")


def test_cancel_button_works_without_a_script(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    html = read(client, f"/runs/{job}")
    action = re.search(r'<form [^>]*method="post" action="([^"]+/cancel)"', html)
    assert action is not None
    response = client.post(action[1], headers={"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"})
    assert (response.status_code, response.headers["location"]) == (303, f"/runs/{job}")
    html = read(client, f"/runs/{job}")
    assert "Cancel requested" in html
    assert "/cancel" not in html


def test_cancelling_a_run_that_has_ended_only_shows_it(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.finish("succeeded")
    response = client.post(f"/runs/{job}/cancel")
    assert (response.status_code, response.headers["location"]) == (303, f"/runs/{job}")
    assert "Succeeded" in read(client, f"/runs/{job}")


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}]
)
def test_cancel_from_another_site_is_refused(
    client: TestClient, worker: FakeWorker, headers: dict[str, str]
) -> None:
    job = worker.submit()
    assert client.post(f"/runs/{job}/cancel", headers=headers).status_code == 403
    assert client.get(f"/jobs/{job}").json()["state"] == "queued"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/runs/nonsense", "nonsense&#39; is neither an id, nor the beginning of one, nor a name"),
        ("/nowhere", "Not found There is no page at this address."),
        ("/runs/%3Cscript%3E", "is neither an id, nor the beginning of one, nor a name"),
    ],
)
def test_wrong_address_is_a_page_for_browsers_and_json_for_others(
    client: TestClient, path: str, said: str
) -> None:
    shown = words(read(client, path, status=404))
    assert "Not found" in shown
    assert said in shown
    assert "<script>" not in shown
    assert client.get(path).json()["error"]["code"] in ("job_not_found", "not_found")


def test_theme_is_remembered_and_leads_back(client: TestClient) -> None:
    assert 'data-theme="system"' in read(client, "/")
    response = client.post("/theme", data={"theme": "dark", "back": "/runs/abc?iteration=3"})
    assert (response.status_code, response.headers["location"]) == (303, "/runs/abc?iteration=3")
    html = read(client, "/")
    assert 'data-theme="dark"' in html
    assert 'value="dark" aria-pressed="true"' in html


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nb", ""])
def test_theme_leads_back_to_this_site_only(client: TestClient, back: str) -> None:
    response = client.post("/theme", data={"theme": "<b>", "back": back})
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert 'data-theme="system"' in read(client, "/")


def make_hostile_run(worker: FakeWorker) -> str:
    """A run whose every free text is a script."""
    job = worker.submit(description=SCRIPT)
    worker.claim(worker=SCRIPT)
    worker.log_line(SCRIPT)
    worker.finish("failed", "training_diverged", SCRIPT)
    return job


def test_script_strings_are_shown_as_text(client: TestClient, worker: FakeWorker) -> None:
    job = make_hostile_run(worker)
    html = read(client, f"/runs/{job}")
    assert SCRIPT not in html
    # Description, the spec that holds it, worker, log line, the reason in the notice and in its attempt, diff.
    assert html.count("&lt;script&gt;alert(1)") >= 6
    assert SCRIPT not in read(client, "/")


def test_without_escaping_the_script_strings_would_stand_in_the_page(
    client: TestClient, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_hostile_run(worker)
    real_get_template = Environment.get_template

    def get_unescaped(self: Environment, *args: Any, **kwargs: Any) -> Any:
        self.autoescape = False
        return real_get_template(self, *args, **kwargs)

    monkeypatch.setattr(Environment, "get_template", get_unescaped)
    # What other tests have compiled escapes.
    monkeypatch.setattr(CompiledTemplates, "load_bytecode", lambda self, bucket: None)
    monkeypatch.setattr(CompiledTemplates, "dump_bytecode", lambda self, bucket: None)
    assert SCRIPT in read(client, f"/runs/{job}")


def test_pages_hold_no_inline_script_style_or_other_origin(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(200)
    for path in ("/", f"/runs/{job}", "/docs", "/nowhere"):
        response = client.get(path, headers=BROWSER)
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", response.text)
        assert not re.search(r"<script(?![^>]*\ssrc=)", response.text)
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", response.text)
        assert response.headers["x-content-type-options"] == "nosniff"


def test_pages_are_small_and_compressed(client: TestClient, worker: FakeWorker) -> None:
    for number in range(ROWS):
        worker.submit(name=f"run-{number}", tags=["mnist", "sweep"])
    response = client.get("/", headers={**BROWSER, "accept-encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert int(response.headers["content-length"]) < 60_000
    assert "content-encoding" not in client.get("/", headers={**BROWSER, "accept-encoding": "identity"}).headers
