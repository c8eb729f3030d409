"""Links that show one page to people without an account: how long they last, and what is kept and told of them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from api.server.access import tokens
from api.server.database.models import Job, Share
from api.server.http import middleware
from tests.api.server.sharing.lab import Lab, services_of

# How long.


def expire(client: TestClient, share_id: str) -> None:
    with services_of(client).database.write() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        session.execute(update(Share).where(Share.id == share_id).values(expires_at=past))


def revoke(client: TestClient, share_id: str) -> None:
    assert client.delete(f"/shares/{share_id}").json()["state"] == "revoked"


def delete_run(client: TestClient, share_id: str) -> None:
    (run,) = next(each for each in client.get("/shares").json()["items"] if each["id"] == share_id)["runs"]
    with services_of(client).database.write() as session:
        session.execute(update(Job).where(Job.id == run["id"]).values(deleted_at=datetime.now(UTC)))


@pytest.mark.parametrize("end", [expire, revoke, delete_run], ids=lambda end: end.__name__)
def test_a_link_that_ended_shows_nothing_at_once(lab: Lab, end: Any) -> None:
    made = lab.share()
    urls = [made["url"] + path for path in ("", f"/runs/{lab.runs[0]}", f"/artifacts/{lab.grids[0]}")]
    assert [lab.client.get(url).status_code for url in urls] == [200] * 3
    end(lab.client, made["id"])
    assert [lab.client.get(url).status_code for url in urls] == [404] * 3
    # Nobody can tell whether there was such a link.
    assert lab.read(urls[0], 404).text == lab.read("/s/" + "A" * 43, 404).text


def test_a_stream_ends_with_its_link(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "WATCH_SECONDS", 0.02)
    made = lab.share()
    with lab.client.stream("GET", f"{made['url']}/jobs/{lab.runs[0]}/events") as stream:
        lines = stream.iter_lines()
        assert next(lines)
        revoke(lab.client, made["id"])
        # The test ends, for the stream does.
        assert list(lines) is not None


def test_a_link_that_there_is_not_is_a_page_that_says_so(lab: Lab) -> None:
    for token in ("", "A" * 42, "A" * 43, "A" * 44, "A" * 43 + "/jobs", "%00" * 43, "ü" * 43, "?q=1"):
        answer = lab.read(f"/s/{token}", 404)
        assert "This link shows nothing" in answer.text, token
        assert 'href="/"' not in answer.text


# What is kept of it, and what is told to others.


def test_only_a_hash_of_the_token_is_stored_and_no_list_tells_it(lab: Lab) -> None:
    made = lab.share()
    token = made["url"].removeprefix("/s/")
    assert len(token) == 43
    services = services_of(lab.client)
    stored = b"".join(path.read_bytes() for path in services.settings.home.glob("ganvas.sqlite3*"))
    assert token.encode() not in stored
    assert made["id"].encode() in stored
    assert token not in lab.client.get("/shares").text
    assert token not in lab.read("/share-links").text


def test_answers_below_a_link_tell_no_other_site_their_address_and_are_kept_nowhere(lab: Lab) -> None:
    link = lab.share()["url"]
    for url, status in ((link, 200), (f"{link}/artifacts/{lab.grids[0]}", 200), ("/s/nothing", 404)):
        headers = lab.read(url, status).headers
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["x-robots-tag"] == "noindex, nofollow, noarchive"
        assert "set-cookie" not in headers
    # The dashboard's own files are the same for everybody.
    script = re.search(r'src="([^"]+page\.js)"', lab.read(link).text)
    assert script is not None
    assert "immutable" in lab.read(script[1]).headers["cache-control"]
    assert "x-robots-tag" not in lab.read(f"/runs/{lab.runs[0]}").headers


def test_links_are_listed_with_what_they_show_and_ended_twice_without_harm(lab: Lab) -> None:
    first, second = lab.share(), lab.share(kind="compare", targets=lab.runs, expires_in="12h")
    revoke(lab.client, first["id"])
    revoke(lab.client, first["id"])
    items = {each["id"]: each for each in lab.client.get("/shares").json()["items"]}
    assert items[first["id"]]["state"] == "revoked"
    assert [run["name"] for run in items[second["id"]]["runs"]] == ["shown", "hidden"]
    lasts = datetime.fromisoformat(second["expires_at"]) - datetime.fromisoformat(second["created_at"])
    assert abs(lasts - timedelta(hours=12)) < timedelta(seconds=5)
    assert lab.client.delete("/shares/unknown").json()["error"]["code"] == "share_not_found"


REFUSED: list[dict[str, Any]] = [
    {},
    {"target": ["shown", "hidden"]},
    {"target": "unknown"},
    {"kind": "compare", "target": "shown"},
    {"kind": "figure", "target": "shown"},
    {"kind": "figure", "address": "/jobs?run=shown"},
    {"kind": "compare", "targets": ["shown", "hidden"], "address": "/jobs"},
    {"kind": "list"},
    {"target": "shown", "address": "/docs"},
    {"target": "shown", "expires_in": "never"},
    {"target": "shown", "expires_in": 0},
    {"target": "shown", "expires_in": "3000d"},
    {"kind": "figure", "address": "/runs/unknown/movie.gif"},
]


def test_what_cannot_be_shared_is_refused(lab: Lab) -> None:
    for body in REFUSED:
        assert lab.client.post("/shares", json=body).status_code in (404, 422), body
    assert lab.client.get("/shares").json()["items"] == []


def test_sharing_needs_the_scope_of_a_user(lab: Lab) -> None:
    with services_of(lab.client).database.write() as session:
        _, reader = tokens.insert_token(session, "reader", "read", None)
    headers = {"authorization": f"Bearer {reader}"}
    assert lab.client.post("/shares", json={"target": lab.runs[0]}, headers=headers).status_code == 403
    assert lab.client.get("/shares", headers=headers).status_code == 403
    assert lab.client.delete("/shares/any", headers=headers).status_code == 403


def test_the_page_makes_a_link_and_ends_it(lab: Lab) -> None:
    form = {"kind": "run", "target": lab.runs[0], "address": "", "expires": "1d"}
    page = lab.client.post("/share-links", data=form).text
    found = re.search(r"http://127\.0\.0\.1(/s/[\w-]{43})", page)
    assert found is not None
    lab.read(found[1])
    (share,) = lab.client.get("/shares").json()["items"]
    assert lab.client.post(f"/share-links/{share['id']}/revoke").status_code == 303
    lab.read(found[1], 404)
    assert "Ended" in lab.read("/share-links").text
