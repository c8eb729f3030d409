"""Messages to the webhook: what is announced, signed, once, in order, again until taken, and where it may lead."""

import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select, true, update

from api.events.findings import outbox, webhooks
from api.events.findings.webhooks import AddressRefused, Target, WebhookSender, find_target, post_once
from api.jobs import edits
from api.server.database.clock import database_now
from api.server.database.engine import HAS_WEBHOOK, Database
from api.server.database.models import Delivery, Job
from api.server.settings import Settings
from tests.support.services import (
    add_claimed_job,
    claim,
    finish,
    make_checkpoint,
    make_finding,
    post,
    reap,
)

SECRET = "a secret that only both know"
URL = "https://hooks.example/ganvas"


class Receiver:
    """What stands at the other end; `status` is what it answers."""

    def __init__(self) -> None:
        self.status = 204
        self.taken: list[tuple[Target, dict[str, Any], dict[str, str]]] = []

    def __call__(self, target: Target, body: bytes, headers: dict[str, str]) -> int:
        self.taken.append((target, json.loads(body), headers))
        return self.status

    def told(self) -> list[tuple[str, str, int]]:
        return [
            (body["change"], body["finding"]["rule"], body["finding"]["iteration"]) for _, body, _ in self.taken
        ]


@pytest.fixture
def announcing(database: Database) -> Database:
    """The database of a service that has a webhook."""
    return Database(database.engine, has_webhook=True)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def sender(
    announcing: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> WebhookSender:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("93.184.216.34", 443))])
    settings = Settings(
        home=tmp_path, webhook_url=URL, webhook_secret=SECRET, public_url="https://gan.example/lab"
    )
    return WebhookSender(announcing, settings, receiver)


def be_due(database: Database) -> None:
    with database.write() as session:
        session.execute(update(Delivery).values(due_at=database_now(-1)))


def test_a_finding_is_announced_when_it_begins_gets_worse_and_ends(
    announcing: Database, sender: WebhookSender, receiver: Receiver
) -> None:
    with announcing.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_finding(100, severity="warning"), make_finding(150, 100, severity="warning")])
        post(session, job, [make_finding(200, 100), make_finding(300, 100, ended=280)], first=2)
    assert sender.deliver_due() == 3
    assert receiver.told() == [
        ("began", "mode_collapse", 100),
        ("worsened", "mode_collapse", 200),
        ("ended", "mode_collapse", 300),
    ]
    _, body, headers = receiver.taken[1]
    assert body["job"]["url"] == f"https://gan.example/lab/runs/{job.id}"
    assert (body["job"]["name"], body["finding"]["severity"]) == ("tiny", "serious")
    assert body["finding"]["description"] == "Collapsed since iteration 100: 64 cells, 1 kind"
    assert headers["Ganvas-Delivery"] == body["delivery"]
    assert sender.deliver_due() == 0


def test_a_failed_job_is_announced_once(announcing: Database, sender: WebhookSender, receiver: Receiver) -> None:
    with announcing.write() as session:
        job = add_claimed_job(session)
        for _ in range(2):
            finish(session, job, "failed", code="training_diverged")
    sender.deliver_due()
    ((_, body, _),) = receiver.taken
    assert (body["kind"], body["reason"]) == ("job_failed", {"code": "training_diverged", "message": "Because."})


def test_a_service_without_a_webhook_stores_no_messages(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_finding(100)])
        finish(session, job, "failed", count=1, code="training_diverged")
        assert session.scalars(select(Delivery)).all() == []


def test_what_is_trained_again_after_a_loss_is_not_announced_again(
    announcing: Database, sender: WebhookSender, receiver: Receiver
) -> None:
    with announcing.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_checkpoint(session, 50, b"weights"), make_finding(100)])
        reap(session, job.id)
        session.execute(update(Job).values(not_before=database_now(-1)))
        again = claim(session)
        assert again is not None
        post(session, again.job, [make_finding(100), make_finding(200)])
    sender.deliver_due()
    assert receiver.told() == [("began", "mode_collapse", 100), ("began", "mode_collapse", 200)]


def test_a_message_that_is_not_taken_comes_again_before_the_next_one_of_its_job(
    announcing: Database, sender: WebhookSender, receiver: Receiver
) -> None:
    receiver.status = 503
    with announcing.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_finding(100), make_finding(200)])
    assert sender.deliver_due() == 1
    # Not before its time, and the second one waits behind it.
    assert sender.deliver_due() == 0
    with announcing.read() as session:
        assert outbox.read_status(session) == outbox.OutboxStatus(2, 0, None, "the answer was 503")
    receiver.status = 200
    be_due(announcing)
    assert sender.deliver_due() == 2
    assert [iteration for *_, iteration in receiver.told()] == [100, 100, 200]
    assert len({body["delivery"] for _, body, _ in receiver.taken}) == 2
    with announcing.read() as session:
        status = outbox.read_status(session)
    assert (status.waiting, status.error, status.delivered_at is None) == (0, None, False)


def test_each_try_comes_later_and_after_a_day_none(
    announcing: Database, sender: WebhookSender, receiver: Receiver
) -> None:
    receiver.status = 500
    with announcing.write() as session:
        post(session, add_claimed_job(session), [make_finding(100)])
    waits = []
    for _ in range(3):
        be_due(announcing)
        sender.deliver_due()
        with announcing.read() as session:
            delay = session.execute(select(Delivery.due_at, database_now())).one()
            waits.append(round((delay[0] - delay[1]).total_seconds() / 5))
    assert waits == [1, 2, 4]
    with announcing.write() as session:
        session.execute(update(Delivery).values(due_at=database_now(-1), created_at=database_now(-90_000)))
    sender.deliver_due()
    with announcing.read() as session:
        assert outbox.read_status(session).given_up == 1
    assert sender.deliver_due() == 0


def claims_twice(database: Database) -> bool:
    with database.write() as session:
        post(session, add_claimed_job(session), [make_finding(100)])
    with database.write() as session:
        assert outbox.claim_delivery(session) is not None
    with database.write() as session:
        return outbox.claim_delivery(session) is not None


def test_one_of_two_replicas_delivers_a_message(announcing: Database) -> None:
    assert not claims_twice(announcing)


def test_control_without_its_conditions_both_replicas_deliver_it(
    announcing: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "build_claim_conditions", lambda: [true()])
    assert claims_twice(announcing)


def test_a_message_whose_sender_was_killed_is_taken_over(announcing: Database, sender: WebhookSender) -> None:
    with announcing.write() as session:
        post(session, add_claimed_job(session), [make_finding(100)])
        abandoned = outbox.claim_delivery(session)
    assert abandoned is not None
    be_due(announcing)
    assert sender.deliver_due() == 1
    with announcing.write() as session:
        # The one that was thought dead reports late: what the other one did stays.
        outbox.mark_failed(session, abandoned, "late")
        assert outbox.read_status(session).error is None


def test_a_purged_job_takes_its_messages_along(announcing: Database) -> None:
    with announcing.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_finding(100)])
        finish(session, job, "succeeded", count=1)
        edits.delete_job(session, job.id)
        edits.purge_job(session, job.id, 0)
        assert session.scalars(select(Delivery)).all() == []


def verify(secret: str, headers: dict[str, str], body: bytes, now: float) -> bool:
    """As docs/how-to/deploy.md has it."""
    source = (Path(__file__).parents[4] / "docs/how-to/deploy.md").read_text(encoding="utf-8")
    snippet = source.split("```python\n# Verifies a webhook", 1)[1].split("```", 1)[0]
    names: dict[str, Any] = {}
    exec("# Verifies a webhook" + snippet, names)  # noqa: S102
    return bool(names["is_genuine"](secret, headers, body, now))


def test_the_receiver_of_the_docs_takes_a_post_and_no_other(sender: WebhookSender, announcing: Database) -> None:
    posts: list[tuple[bytes, dict[str, str]]] = []
    sender._post = lambda _, body, headers: posts.append((body, headers)) or 200  # type: ignore[func-returns-value]
    with announcing.write() as session:
        post(session, add_claimed_job(session), [make_finding(100)])
    sender.deliver_due()
    ((body, headers),) = posts
    now = float(headers["Ganvas-Timestamp"])
    assert verify(SECRET, headers, body, now)
    assert not verify("another secret", headers, body, now)
    assert not verify(SECRET, headers, body + b" ", now)
    assert not verify(SECRET, headers | {"Ganvas-Timestamp": str(int(now) + 1)}, body, now)
    assert not verify(SECRET, headers, body, now + 3600)
    digest = hmac.new(SECRET.encode(), f"{int(now)}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["Ganvas-Signature"] == f"sha256={digest}"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1",
        "64:ff9b::a00:1", "2002:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_no_post_leads_into_a_private_network(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(0, 0, 0, "", ("93.184.216.34", 443)), (0, 0, 0, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(AddressRefused, match="GANVAS_WEBHOOK_PRIVATE"):
        find_target(URL, allow_private=False)
    assert find_target(URL, allow_private=True).hostname == "hooks.example"
    # Control: without the check it is posted to.
    monkeypatch.setattr(webhooks, "is_public", lambda _: True)
    assert find_target(URL, allow_private=False).url == "https://93.184.216.34:443/ganvas"


def test_a_private_address_is_told_and_nothing_is_sent(
    sender: WebhookSender, announcing: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("10.0.0.1", 443))])
    with announcing.write() as session:
        post(session, add_claimed_job(session), [make_finding(100)])
    sender.deliver_due()
    assert receiver.taken == []
    with announcing.read() as session:
        error = outbox.read_status(session).error
    assert error == "hooks.example leads to 10.0.0.1, which is not public; GANVAS_WEBHOOK_PRIVATE=true allows it"


@pytest.mark.parametrize(
    ("url", "to", "host"),
    [
        ("https://hooks.example/a?b=c", "https://93.184.216.34:443/a?b=c", "hooks.example"),
        ("http://hooks.example:8080", "http://93.184.216.34:8080/", "hooks.example:8080"),
    ],
)
def test_a_post_goes_to_the_address_that_was_checked(
    url: str, to: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("93.184.216.34", 443))])
    assert find_target(url, allow_private=False) == Target(to, host, "hooks.example")


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[str, str, bytes]], dict[str, int]]]:
    """A receiver on loopback: its address, what came as (path, host, body), and the status it answers."""
    came: list[tuple[str, str, bytes]] = []
    answer = {"status": 200}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            came.append((self.path, self.headers["host"], body))
            self.send_response(answer["status"])
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{listening.server_port}/hook", came, answer
    listening.shutdown()
    listening.server_close()


def test_a_post_arrives_and_a_redirect_is_not_followed(
    server: tuple[str, list[tuple[str, str, bytes]], dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, came, answer = server
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    # The environment's proxy is not asked.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    target = Target(f"http://127.0.0.1:{port}/hook", f"localhost:{port}", "localhost")
    assert post_once(target, b"{}", {"Content-Type": "application/json"}) == 200
    assert came == [("/hook", f"localhost:{port}", b"{}")]
    answer["status"] = 307
    assert post_once(target, b"{}", {}) == 307
    assert len(came) == 2


def test_a_redirect_is_a_failure_that_says_what_to_do(
    sender: WebhookSender, announcing: Database, receiver: Receiver
) -> None:
    receiver.status = 302
    with announcing.write() as session:
        post(session, add_claimed_job(session), [make_finding(100)])
    sender.deliver_due()
    with announcing.read() as session:
        assert "set GANVAS_WEBHOOK_URL to its end" in str(outbox.read_status(session).error)


def test_whatever_a_post_raises_is_tried_again(sender: WebhookSender, announcing: Database) -> None:
    def break_off(*_: object) -> int:
        raise ConnectionResetError("reset")

    sender._post = break_off
    with announcing.write() as session:
        post(session, add_claimed_job(session), [make_finding(100)])
    sender.deliver_due()
    with announcing.read() as session:
        assert outbox.read_status(session).error == "ConnectionResetError: reset"


def test_a_webhook_needs_a_secret(tmp_path: Path) -> None:
    for secret in (None, "", "short"):
        with pytest.raises(ValidationError, match="openssl rand -hex 32"):
            Settings(home=tmp_path, webhook_url=URL, webhook_secret=secret)
    assert Settings(home=tmp_path).webhook_secret is None
    with pytest.raises(ValidationError):
        Settings(home=tmp_path, webhook_url="file:///etc/passwd", webhook_secret=SECRET)
    with pytest.raises(ValidationError):
        Settings(home=tmp_path, webhook_url="https://user:password@hooks.example", webhook_secret=SECRET)


def test_the_settings_decide_whether_messages_are_stored(home: Path) -> None:
    from api.server.database.engine import build_database

    for url, secret, has_webhook in ((None, None, False), (URL, SECRET, True)):
        database = build_database(Settings(home=home, webhook_url=url, webhook_secret=secret))
        with database.write() as session:
            assert session.info[HAS_WEBHOOK] is has_webhook
        database.close()


def test_a_stopped_sender_leaves_the_rest_for_the_next_start(
    sender: WebhookSender, announcing: Database, receiver: Receiver
) -> None:
    with announcing.write() as session:
        post(session, add_claimed_job(session), [make_finding(100)])
    sender.close()
    assert (sender.deliver_due(), receiver.taken) == (0, [])
    again = WebhookSender(announcing, sender._settings, receiver)
    assert again.deliver_due() == 1
    assert webhooks.DELIVERY_HEADER in receiver.taken[0][2]
