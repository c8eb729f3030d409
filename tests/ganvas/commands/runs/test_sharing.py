"""`ganvas share`, against a real service."""

import json

import httpx
import pytest

from api.client.client import Client
from tests.conftest import LiveService
from tests.ganvas.conftest import RunCommand
from tests.support.fake_worker import connect


@pytest.fixture
def runs(live_service: LiveService) -> list[str]:
    worker = connect(live_service.url)
    ids = [worker.submit(name=name) for name in ("first", "second")]
    worker.client.close()
    return ids


def test_a_run_is_shared_listed_and_ended(ganvas: RunCommand, live_service: LiveService, runs: list[str]) -> None:
    url = ("--url", live_service.url)
    assert "Nothing is shared" in ganvas("share", "--list", *url).out
    made = ganvas("share", "first", "--expires", "2d", *url)
    link = made.out.strip()
    assert link.startswith(f"{live_service.url}/s/")
    assert "first" in httpx.get(link).text
    (line,) = ganvas("share", "--list", *url).out.splitlines()
    share_id, state, kind = line.split()[:3]
    assert (state, kind) == ("live", "run")
    assert f"ganvas share --revoke {share_id}" in made.err
    assert "revoked" in ganvas("share", "--revoke", share_id, *url).out
    assert httpx.get(link).status_code == 404


def test_several_runs_are_shared_as_their_comparison_and_a_figure_by_its_address(
    ganvas: RunCommand, live_service: LiveService, runs: list[str]
) -> None:
    url = ("--url", live_service.url)
    made = json.loads(ganvas("share", *runs, "--json", *url).out)
    assert (made["kind"], [run["id"] for run in made["runs"]]) == ("compare", runs)
    assert "Compare" in httpx.get(made["url"]).text
    figure = ganvas("share", "--figure", "/figures/curves.csv?run=first", *url).out.strip()
    assert httpx.get(figure).text.startswith("run,name,metric")


@pytest.mark.parametrize("given", [(), ("first", "--list"), ("--list", "--revoke", "ab")])
def test_what_is_to_be_shared_is_said_once(
    ganvas: RunCommand, live_service: LiveService, given: tuple[str, ...]
) -> None:
    said = ganvas("share", *given, "--url", live_service.url)
    assert said.status == 2
    assert "Name runs to share" in said.err


@pytest.mark.parametrize("given", ["5", "soon", "3000d"])
def test_a_life_that_no_link_can_have_is_refused_with_those_that_it_can(ganvas: RunCommand, given: str) -> None:
    said = ganvas("share", "first", "--expires", given)
    assert said.status == 2
    assert said.err.count("write 30m, 12h, 7d or 2w") == 1


def test_the_client_shares_lists_and_revokes(live_service: LiveService, runs: list[str]) -> None:
    with Client(live_service.url) as client:
        made = client.share("first", expires_in=3600)
        assert [share.id for share in client.list_shares()] == [made.id]
        assert client.revoke_share(made.id).state == "revoked"
