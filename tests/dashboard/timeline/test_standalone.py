"""A run or a comparison as one file: what is in it, how large it is, and that it leads nowhere."""

import base64
import hashlib
import json
import os
import re
from datetime import UTC, datetime
from html import unescape

import pytest
from fastapi.testclient import TestClient

from api.samples.queries import GridRow
from dashboard.timeline.standalone import thin
from dashboard.web.formats import write_disposition
from tests.support.fake_worker import FakeWorker, make_grid_png

AT = datetime(2026, 1, 2, tzinfo=UTC)
LOADING = re.compile(
    r'(?:src|href|action|data-src|poster)="(?!data:|#)([^"]+)"|url\((?!"?#)|@import|<link|<iframe|<base'
)


def make_grids(count: int, first: int = 0) -> list[GridRow]:
    return [GridRow(i, f"{first + i:064x}", AT, 8, 8, 28, 28, "a" * 64) for i in range(count)]


def read_data(html: str, name: str) -> list[dict[str, list[object]]]:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', html)
    assert found is not None
    data: list[dict[str, list[object]]] = json.loads(found[1])
    return data


def train(worker: FakeWorker, name: str = "first-light", **changes: object) -> str:
    job = worker.submit(name=name, **changes)
    worker.claim()
    worker.train(1000, grid_every=100)
    return job


def test_a_run_as_one_file_holds_timeline_curves_spec_and_provenance(
    client: TestClient, worker: FakeWorker
) -> None:
    job = train(worker, description="</script><script>alert(1)</script>", tags=["mnist"])
    answer = client.get(f"/runs/{job}/export.html")
    assert answer.headers["content-disposition"] == 'attachment; filename="first-light.html"'
    html = answer.text
    (timeline,) = read_data(html, "timelines")
    assert timeline["iterations"] == list(range(100, 1001, 100))
    assert base64.b64decode(str(timeline["images"][3])) == make_grid_png(400)
    # The newest grid stands in the page, for readers without scripts.
    assert base64.b64encode(make_grid_png(1000)).decode() in html
    (lines,) = read_data(html, "curves")
    assert [line["iterations"][-1] for line in lines] == [1000, 1000]  # type: ignore[call-overload]
    for part in ("dataset: {", "name: mnist", "bench-2", "Working tree", "Generator loss", "mnist", "Ganvas 0."):
        assert part in unescape(html), part
    assert "<script>alert(1)" not in html


def test_a_file_leads_nowhere_and_loads_nothing(client: TestClient, worker: FakeWorker) -> None:
    jobs = [train(worker), train(worker, "second-light")]
    for address in (f"/runs/{jobs[0]}/export.html", f"/compare/export.html?run={jobs[0]}&run={jobs[1]}"):
        html = client.get(address).text
        assert LOADING.search(html) is None, LOADING.search(html)
    # The page itself does, so the search for it finds what there is.
    assert LOADING.search(client.get(f"/runs/{jobs[0]}").text) is not None


def test_the_policy_of_a_file_allows_its_own_script_and_style_alone(
    client: TestClient, worker: FakeWorker
) -> None:
    html = client.get(f"/runs/{train(worker)}/export.html").text
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in unescape(policy[1]).split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.S)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"


def test_a_file_of_a_comparison_holds_each_run(client: TestClient, worker: FakeWorker) -> None:
    jobs = [train(worker), train(worker, "second-light", batch_size=32)]
    answer = client.get(f"/compare/export.html?run={jobs[0]}&run={jobs[1]}")
    assert [len(timeline["images"]) for timeline in read_data(answer.text, "timelines")] == [10, 10]
    for part in ("Comparison of first-light, second-light", "batch_size", "Same fixed latents"):
        assert part in answer.text, part
    alone = client.get(f"/compare/export.html?run={jobs[0]}&run=unknown")
    assert (alone.status_code, alone.json()["error"]["code"]) == (422, "request_invalid")


def test_two_hundred_large_grids_are_thinned_to_ten_megabytes_and_the_file_says_so(
    client: TestClient, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    png = make_grid_png(1)
    for iteration in range(5, 1001, 5):
        # What comes after the end of a PNG makes it as large as one of colour pictures.
        worker.save_grid(iteration, png + os.urandom(100_000))
    answer = client.get(f"/runs/{job}/export.html")
    assert 9_500_000 < len(answer.content) <= 10_000_000
    (timeline,) = read_data(answer.text, "timelines")
    iterations = timeline["iterations"]
    assert (iterations[0], iterations[-1]) == (5, 1000)
    kept = f"{len(iterations)} of 200 sample grids, evenly spread"
    assert f"This file holds {kept}, so that" in answer.text
    assert answer.headers["x-left-out"] == kept
    smaller = client.get(f"/runs/{job}/export.html?max_size=500000")
    assert len(smaller.content) <= 500_000
    assert "3 of 200 sample grids" in smaller.text


def test_a_run_without_a_grid_and_without_values_is_a_file_as_well(client: TestClient, worker: FakeWorker) -> None:
    html = client.get(f"/runs/{worker.submit()}/export.html").text
    assert read_data(html, "timelines") == [{"iterations": [], "images": []}]
    assert 'class="player"' not in html


@pytest.mark.parametrize("size", ["0", "99999", "nine", "10MB"])
def test_a_size_that_is_none_is_refused(client: TestClient, worker: FakeWorker, size: str) -> None:
    assert client.get(f"/runs/{worker.submit()}/export.html?max_size={size}").status_code == 422


@pytest.mark.parametrize(("bytes_", "kept"), [(10**9, 9), (9 * 160, 9), (5 * 160, 5), (170, 1), (100, 0)])
def test_thinning_keeps_what_fits_evenly_spread(bytes_: int, kept: int) -> None:
    grids = make_grids(9)
    (left,) = thin([grids], {grid.sha256: 100 for grid in grids}, bytes_)
    assert len(left) == kept
    if kept > 1:
        assert (left[0], left[-1]) == (grids[0], grids[-1])


def test_timelines_of_a_comparison_share_the_room() -> None:
    long, short = make_grids(100), make_grids(10, 1000)
    sizes = {grid.sha256: 100 for grid in [*long, *short]}
    kept = thin([long, short], sizes, 40 * 160)
    assert [len(each) for each in kept] == [30, 10]


def test_a_file_s_name_cannot_end_its_header() -> None:
    assert write_disposition('a"b', "html") == "attachment; filename=\"a_b.html\"; filename*=UTF-8''a%22b.html"
    assert write_disposition("ü\r\n", "png", is_shown=True).startswith('inline; filename="___.png"')
