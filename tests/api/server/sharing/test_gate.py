"""What a shared link shows, and that it shows nothing else."""

import re
from html import unescape
from itertools import product

import pytest

from api.server.access import tokens
from api.server.sharing import gate
from api.server.sharing.gate import find_address
from api.server.sharing.queries import is_file_of
from tests.api.server.sharing.lab import Lab, services_of

# What a link shows.


def test_a_link_shows_the_run_without_a_token_while_the_service_requires_them(lab: Lab) -> None:
    link = lab.share()["url"]
    lab.close()
    assert lab.client.get(f"/runs/{lab.runs[0]}").status_code == 401
    html = lab.read(link).text
    assert "shown" in html
    assert "Shared with you until" in html
    assert f"/artifacts/{lab.grids[0]}" in html


def test_every_address_of_a_shared_page_leads_below_its_link_and_answers(lab: Lab) -> None:
    link = lab.share()["url"]
    html = unescape(lab.read(link).text)
    found = re.findall(r'(?:src|href|action|data-src|data-url|data-metrics-url)="([^"#]+)', html)
    addresses = {address for address in found if not address.startswith(("http", "data:"))}
    assert len(addresses) > 20
    for address in addresses:
        assert address.startswith(f"{link}/"), address
        # The address of scripts, and of a stream, which would not end.
        if not address.endswith(("/cells", "/events")):
            status = lab.client.get(address.removeprefix(link)).status_code
            assert lab.client.get(address).status_code == status, address


BELONGING = [
    "/runs/{run}/timeline.json",
    "/runs/{run}?iteration=20&metric=loss/generator",
    "/runs/{run}/cells/1-2?iteration=20",
    "/runs/{run}/export.html",
    "/jobs/{run}/metrics?name=loss/generator",
    "/jobs/{run}/neighbours?limit=10",
    "/jobs/{run}/attempts/1/diff",
    "/jobs/{run}/files",
    "/artifacts/{grid}",
]


def test_what_belongs_to_the_run_is_there(lab: Lab) -> None:
    link = lab.share()["url"]
    lab.close()
    for path in BELONGING:
        lab.read(link + path.format(run=lab.runs[0], grid=lab.grids[0]))


def test_a_shared_page_offers_no_action_and_names_no_other_run(lab: Lab) -> None:
    made = lab.client.post(
        f"/jobs?made_from={lab.runs[0]}", json=lab.client.get(f"/jobs/{lab.runs[1]}").json()["spec"]
    )
    assert made.status_code == 201
    whole = lab.read(f"/runs/{lab.runs[0]}").text
    html = lab.read(lab.share()["url"]).text
    for part in (made.json()["id"], 'method="post"', "Run again", "/figures", 'href="/"', "JSON</a>", "Log out"):
        assert part not in html, part
    # The page of those who have an account has them.
    for part in (made.json()["id"], 'method="post"', "Run again", "/figures", 'href="/"', "JSON</a>"):
        assert part in whole, part


def test_a_link_to_a_comparison_shows_these_runs_at_their_place(lab: Lab) -> None:
    link = lab.share(kind="compare", targets=lab.runs, address="/compare?axis=images&metric=loss/generator")["url"]
    lab.close()
    html = unescape(lab.read(link).text)
    assert all(grid in html for grid in lab.grids)
    assert "Other runs" not in html
    assert "images seen" in html
    for run in lab.runs:
        lab.read(f"{link}/runs/{run}/timeline.json")
        lab.read(f"{link}/jobs/{run}/metrics?name=loss/generator")
    # Their mean as well, where the reader groups them.
    lab.read(f"{link}/job-groups/{','.join(lab.runs)}/metrics?name=loss/generator")
    lab.read(f"{link}/job-groups/{lab.runs[0]},{12 * 'x'}/metrics", 404)
    addresses = re.findall(r'href="([^"#]+compare[^"#]*)"', html)
    assert len(addresses) > 3
    assert all(lab.client.get(address).status_code == 200 for address in addresses)


def test_a_link_to_a_figure_is_its_file(lab: Lab) -> None:
    link = lab.share(kind="figure", address="/figures/curves.csv?run=shown&metric=loss/generator")["url"]
    lab.close()
    answer = lab.client.get(link)
    assert answer.text.startswith("run,name,metric,iteration,value\n")
    assert lab.runs[0] in answer.text
    for path in ("/figures/curves.csv", f"/runs/{lab.runs[0]}", f"/artifacts/{lab.grids[0]}", "?run=hidden"):
        lab.read(link + path, 404)


# What it does not.

ESCAPES = [
    "/jobs",
    "/jobs.csv",
    "/jobs/{shown}",
    "/jobs/{hidden}",
    "/jobs/{shown}/log",
    "/jobs/{hidden}/metrics",
    "/jobs/{hidden}/events",
    "/jobs/{hidden}/attempts/1/diff",
    "/jobs/hidden/metrics",
    "/jobs/{hidden_start}/metrics",
    "/runs/{hidden}",
    "/runs/{hidden}/timeline.json",
    "/runs/{hidden}/export.html",
    "/runs/{shown}/again",
    "/runs/{shown}/movie.gif",
    "/runs/{shown}/../{hidden}",
    "/runs/{shown}%2f..%2f{hidden}",
    "//jobs",
    "/artifacts/{hidden_grid}",
    "/compare?run={shown}&run={hidden}",
    "/compare/export.html?run={shown}&run={hidden}",
    "/figures",
    "/figures/timelines.png?run={hidden}",
    "/events",
    "/findings",
    "/workers",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/shares",
    "/share-links",
    "/login",
    "/healthz",
    "/static/../api/main.py",
]


def fill(lab: Lab, path: str) -> str:
    shown, hidden = lab.runs
    return path.format(shown=shown, hidden=hidden, hidden_start=hidden[:6], hidden_grid=lab.grids[1])


def test_a_link_to_a_run_leads_nowhere_else(lab: Lab) -> None:
    link = lab.share()["url"]
    for path in ESCAPES:
        answer = lab.client.get(link + fill(lab, path))
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "share_not_found"), path
        # Pictures of the frame are hidden from screen readers.
        assert "hidden" not in lab.read(link + fill(lab, path), 404).text.replace("aria-hidden", "")


# Those that others are answered to who ask without a link.
ANSWERED = [
    "/jobs",
    "/jobs/{hidden}",
    "/jobs/{hidden}/metrics",
    "/jobs/hidden/metrics",
    "/runs/{hidden}",
    "/runs/{hidden}/timeline.json",
    "/artifacts/{hidden_grid}",
    "/compare?run={shown}&run={hidden}",
    "/figures",
    "/findings",
    "/jobs/{shown}/log",
    "/docs",
    "/healthz",
]


def test_control_without_the_gate_s_list_the_link_leads_there(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(ANSWERED) < set(ESCAPES)
    link = lab.share()["url"]
    monkeypatch.setattr(gate, "find_address", lambda _, page, path, query: f"{path}?{query}" if query else path)
    assert {lab.client.get(link + fill(lab, path)).status_code for path in ANSWERED} == {200}
    # Actions and lists of links need another scope, which the gate never grants.
    assert lab.client.get(f"{link}/shares").status_code == 403


OF_OTHERS = [
    "/runs/{shown}",
    "/runs/{shown}/export.html",
    "/jobs/{shown}/events",
    "/jobs/{shown}/attempts/1/diff",
    "/compare?run={third}",
    "/compare?left={third}",
    "/compare/export.html?run={third}&run={shown}",
    "/runs/{third}/timeline.json",
    "/jobs/{third}/metrics",
    "/events",
    "/",
]


def test_a_link_to_a_comparison_shows_no_third_run_and_no_page_of_one(lab: Lab) -> None:
    spec = lab.client.get(f"/jobs/{lab.runs[0]}").json()["spec"]
    third = lab.client.post("/jobs", json=spec).json()["id"]
    link = lab.share(kind="compare", targets=lab.runs)["url"]
    for path in OF_OTHERS:
        lab.read(link + path.format(shown=lab.runs[0], third=third), 200 if path == "/" else 404)


def test_a_link_changes_nothing(lab: Lab) -> None:
    link = lab.share()["url"]
    paths = ("", f"/runs/{lab.runs[0]}/cancel", f"/jobs/{lab.runs[0]}", f"/jobs/{lab.runs[0]}/cancel", "/shares")
    for method, path in product(("POST", "PUT", "PATCH", "DELETE", "OPTIONS"), paths):
        assert lab.client.request(method, link + path).status_code == 404
    assert lab.client.get(f"/jobs/{lab.runs[0]}").json()["state"] == "running"
    # Without the link, this cancels it.
    assert lab.client.post(f"/jobs/{lab.runs[0]}/cancel").json()["cancel_requested_at"] is not None


def test_a_login_beside_the_link_gives_no_more(lab: Lab) -> None:
    link = lab.share()["url"]
    services = services_of(lab.client)
    with services.database.write() as session:
        _, token = tokens.insert_token(session, "me", "user", None)
    bearer = {"authorization": f"Bearer {token}"}
    assert lab.client.get(f"/runs/{lab.runs[1]}", headers=bearer).status_code == 200
    assert lab.client.get(f"{link}/runs/{lab.runs[1]}", headers=bearer).status_code == 404
    assert 'method="post"' not in lab.client.get(link, headers=bearer).text


def test_a_file_belongs_to_the_run_that_has_it_alone(lab: Lab) -> None:
    with services_of(lab.client).database.read() as session:
        assert is_file_of(session, lab.runs[:1], lab.grids[0])
        assert not is_file_of(session, lab.runs[:1], lab.grids[1])
        assert is_file_of(session, lab.runs, lab.grids[1])


def test_the_gate_s_function_is_the_one_that_the_control_replaces() -> None:
    assert gate.find_address is find_address
