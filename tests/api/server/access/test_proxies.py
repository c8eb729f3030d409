"""What proxies say about a client is believed of those that are named, and of nobody else."""

from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from api.errors import TooManyRequests
from api.server.access import proxies, rate_limits
from api.server.access.origins import BindRefused, check_bind, check_token
from api.server.access.proxies import ROOT, ProxyReader, find_client, limit_key
from api.server.settings import Settings
from ganvas.app import build_app
from tests.support.services import HOST, QUIET

TOKEN = "a token of some length"
NETWORKS = (ip_network("10.0.0.0/8"), ip_network("127.0.0.1"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "chain", "client"),
    [
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.7, 10.1.1.1", "203.0.113.7"),
        ("10.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "10.3.3.3", "10.3.3.3"),
    ],
)
def test_the_client_is_the_last_address_that_no_trusted_proxy_has(peer: str, chain: str, client: str) -> None:
    assert find_client(peer, chain, NETWORKS) == client


def read_scope(peer: str, settings: Settings, **headers: str) -> dict[str, Any]:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"client": (peer, 1), "scheme": "http", "path": "/jobs", "headers": named}
    ProxyReader(settings).read(scope)
    return scope


@pytest.mark.parametrize(
    ("peer", "is_believed"),
    [("10.2.3.4", True), ("::ffff:10.2.3.4", True), ("127.0.0.1", False), ("11.0.0.1", False), ("", False)],
)
def test_only_named_proxies_are_believed(peer: str, is_believed: bool) -> None:
    said = {"x_forwarded_for": "203.0.113.7", "x_forwarded_proto": "https", "x_forwarded_prefix": "/lab"}
    scope = read_scope(peer, Settings(trusted_proxies="10.0.0.0/8"), **said)
    believed = ("203.0.113.7", "https", "/lab") if is_believed else (peer, "http", "")
    assert (scope["client"][0], scope["scheme"], scope[ROOT]) == believed


def test_the_prefix_of_the_settings_comes_before_what_a_client_may_have_sent() -> None:
    settings = Settings(trusted_proxies="10.0.0.0/8", root_path="/lab")
    assert read_scope("10.0.0.1", settings, x_forwarded_prefix="/elsewhere")[ROOT] == "/lab"


def test_proxies_are_read_from_the_environment_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANVAS_TRUSTED_PROXIES", "127.0.0.1, 10.1.2.3/8 ,fd00::/8")
    assert [str(network) for network in Settings().trusted_proxies] == ["127.0.0.1/32", "10.0.0.0/8", "fd00::/8"]
    with pytest.raises(ValidationError, match="addresses or networks"):
        Settings(trusted_proxies="localhost")


def test_a_network_of_ipv6_is_limited_as_one_and_an_address_in_either_form() -> None:
    assert limit_key("2001:db8::1") == limit_key("2001:db8::ffff:2") == "2001:db8::/64"
    assert limit_key("2001:db8:0:1::1") != limit_key("2001:db8::1")
    assert limit_key("::ffff:203.0.113.7") == limit_key("203.0.113.7") == "203.0.113.7"


@pytest.fixture
def closed(home: Path) -> Iterator[TestClient]:
    """A service that wants a token, behind a proxy at the address that every request comes from."""
    settings = Settings(
        home=home, token=TOKEN, trusted_proxies="203.0.113.1", login_failures_per_minute=3, **QUIET
    )
    app = build_app(settings)
    with TestClient(app, base_url=HOST, client=("203.0.113.1", 1), follow_redirects=False) as client:
        yield client


def log_in(client: TestClient, token: str, **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/login", data={"token": token}, headers=sent)


def ask(client: TestClient, token: str, address: str = "198.51.100.1") -> int:
    headers = {"authorization": f"Bearer {token}", "x-forwarded-for": address}
    return client.get("/jobs", headers=headers).status_code


@pytest.mark.parametrize(("protocol", "is_secure"), [("https", True), ("http", False)])
def test_the_login_s_cookie_is_secure_where_the_proxy_speaks_https(
    closed: TestClient, protocol: str, is_secure: bool
) -> None:
    answer = log_in(closed, TOKEN, x_forwarded_proto=protocol)
    assert ("secure" in answer.headers["set-cookie"].lower()) is is_secure


def test_failed_logins_are_counted_a_client_and_not_a_proxy(closed: TestClient) -> None:
    statuses = [log_in(closed, "guess", x_forwarded_for="198.51.100.1").status_code for _ in range(4)]
    assert statuses == [401, 401, 401, 429]
    assert log_in(closed, TOKEN, x_forwarded_for="198.51.100.2").status_code == 303


def test_an_address_that_a_client_makes_up_passes_no_limit(home: Path) -> None:
    settings = Settings(home=home, token=TOKEN, login_failures_per_minute=3, **QUIET)
    with TestClient(build_app(settings), base_url=HOST, client=("127.0.0.1", 1)) as client:
        statuses = [
            log_in(client, "guess", x_forwarded_for=f"198.51.100.{number}").status_code for number in range(4)
        ]
        assert statuses == [401, 401, 401, 429]


def test_guesses_of_tokens_are_limited_an_address(closed: TestClient) -> None:
    assert ask(closed, TOKEN, "198.51.100.3") == 200
    for address in ("198.51.100.1", "198.51.100.3"):
        assert [ask(closed, f"guess {number}", address) for number in range(5)] == [401, 401, 401, 429, 429]
    refused = closed.get("/jobs", headers={"authorization": "Bearer any", "x-forwarded-for": "198.51.100.1"})
    assert 0 < int(refused.headers["retry-after"]) <= 60
    # The right token is refused there too, so trying tells nothing; but not where it was in use, or elsewhere.
    assert ask(closed, TOKEN) == 429
    assert ask(closed, TOKEN, "198.51.100.3") == 200
    assert ask(closed, TOKEN, "198.51.100.2") == 200


def test_an_old_token_sent_again_and_again_is_no_guess_until_it_is_too_often(closed: TestClient) -> None:
    assert {ask(closed, "old") for _ in range(20)} == {401}
    limits = rate_limits.RateLimits(600, 3)
    for _ in range(rate_limits.WRONG_TOKENS_PER_MINUTE):
        limits.check_token("198.51.100.1", "any")
        limits.record_wrong_token("198.51.100.1", "old")
    with pytest.raises(TooManyRequests):
        limits.check_token("198.51.100.1", "any")


def test_control_without_the_count_tokens_are_guessed_without_end(
    closed: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits.RateLimits, "record_wrong_token", lambda *_: None)
    assert {ask(closed, f"guess {number}") for number in range(8)} == {401}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"allowed_hosts": "gan.example"}, "GANVAS_ALLOWED_HOSTS"),
        ({"trusted_proxies": "127.0.0.1"}, "GANVAS_TRUSTED_PROXIES"),
        ({"root_path": "/lab"}, "GANVAS_ROOT_PATH"),
        ({"own_address": "10.1.2.3"}, "GANVAS_OWN_ADDRESS"),
    ],
)
def test_a_service_behind_a_proxy_wants_a_token_or_the_word_that_it_needs_none(
    settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(BindRefused, match=f"{named}.*GANVAS_WITHOUT_TOKEN"):
        check_bind(Settings(**settings), lambda: False)
    check_bind(Settings(**settings, without_token=True), lambda: False)
    check_bind(Settings(**settings, token=TOKEN), lambda: False)
    check_bind(Settings(**settings), lambda: True)


def test_names_of_this_machine_alone_bring_nobody_else() -> None:
    check_bind(Settings(allowed_hosts="localhost,127.0.0.1,::1"), lambda: False)


@pytest.mark.parametrize("token", ["t", "correct horse", "a" * 40, "abababababababababab"])
def test_a_token_that_can_be_guessed_is_refused_at_the_start(token: str) -> None:
    with pytest.raises(BindRefused, match="could be guessed"):
        check_token(Settings(token=token))


def test_a_token_of_some_length_is_taken_and_none_is_needed() -> None:
    check_token(Settings(token="correct-horse-battery"))
    check_token(Settings())


def test_control_a_trusted_peer_that_is_not_checked_lets_everybody_choose_an_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proxies, "is_trusted", lambda *_: True)
    assert read_scope("6.6.6.6", Settings(), x_forwarded_proto="https")["scheme"] == "https"
