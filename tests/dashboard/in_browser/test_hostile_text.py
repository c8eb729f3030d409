"""Fifty script strings in every text that a page shows: shown as text, in a real Chromium, and nothing runs."""

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page

from tests.support.browser import OpenPage
from tests.support.fake_worker import PROVENANCE, FakeWorker, make_spec

pytestmark = pytest.mark.browser

_RUN = "window.broken=1"
_TAGS = [
    "img src=x onerror",
    "svg onload",
    "body onload",
    "iframe onload",
    "details open ontoggle",
    "video src=x onerror",
]
_TAGS += [
    "audio src=x onerror",
    "input autofocus onfocus",
    "marquee onstart",
    "object data=x onerror",
    "math onclick",
]
_BREAKS = ["", '">', "'>", "-->", "]]>", "</title>", "</textarea>", "</script>", "</style>", "</pre>"]
_ODD = [
    "javascript:window.broken=1",
    "{{constructor.constructor('window.broken=1')()}}",
    "{{ 7*7 }}{% print(1) %}",
    "${window.broken=1}",
    "`-window.broken=1-`",
    "';window.broken=1;//",
    '";window.broken=1;//',
    "\\u003cscript>window.broken=1</script>",
    "&lt;script&gt;window.broken=1&lt;/script&gt;",
    "%3Cscript%3Ewindow.broken=1%3C/script%3E",
    "<scr<script>ipt>window.broken=1</script>",
    "<a href=javascript:window.broken=1>x</a>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0;url=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>@import '//evil.example/x.css'</style>",
    "<form action=//evil.example/><button id=go>",
    "<math><mi//xlink:href='data:x,<script>window.broken=1</script>'>",
    "data:text/html,<script>window.broken=1</script>",
]
SCRIPTS = [f"{start}<script>{_RUN}</script>" for start in _BREAKS]
SCRIPTS += [f"{start}<{tag}={_RUN}>" for start in ("", '" x="') for tag in _TAGS] + _ODD
assert len(set(SCRIPTS)) >= 50


def submit_hostile_run(worker: FakeWorker) -> str:
    """A failed run whose every free text is one script string or all of them; returns its id."""
    everything = "\n".join(SCRIPTS)
    worker.submit(description=everything)
    provenance = PROVENANCE | {
        "branch": SCRIPTS[10],
        "uncommitted_diff": everything,
        "versions": dict.fromkeys(SCRIPTS, SCRIPTS[11][:100]),
        "device": SCRIPTS[12],
        "hostname": SCRIPTS[13],
        "platform": SCRIPTS[14],
        "command": SCRIPTS[15],
        "python": SCRIPTS[16][:50],
    }
    claimed = post(
        worker, "/workers/claim", {"worker": '"><script>window.broken=1</script>', "provenance": provenance}
    )
    worker.job_id, worker.attempt, worker.seq = claimed["job_id"], claimed["attempt"], 0
    worker.train(200)
    for text in SCRIPTS:
        worker.log_line(text, level="error")
    reason = {"code": "trainer_failed", "message": everything[:3900], "log_tail": everything}
    finish = {"end": "failed", "reason": reason, "events_count": worker.seq}
    post(worker, f"/jobs/{worker.job_id}/attempts/1/finish", finish)
    return worker.job_id


def post(worker: FakeWorker, path: str, body: dict[str, Any]) -> Any:
    answer = worker.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def assert_nothing_ran(page: Page) -> None:
    # What was parsed has had its turn: files are loaded or given up, and two pictures are drawn.
    page.wait_for_load_state("load")
    frame = "new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))"
    page.evaluate(f"{frame}.then(() => {frame})")
    assert page.evaluate("window.broken") is None
    assert page.locator("#go, iframe, base, marquee, object, math, video, audio, [onerror], [onload]").count() == 0
    sources = page.evaluate("[...document.scripts].map((script) => script.src)")
    assert all(re.search(r"/static/[0-9a-f]+/", source) for source in sources), sources


def test_a_run_page_shows_script_strings_as_text(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page(f"/runs/{submit_hostile_run(worker)}")
    assert_nothing_ran(page)
    shown = page.evaluate("document.documentElement.textContent")
    missing = [text for text in SCRIPTS if text not in shown]
    assert missing == []


def test_a_live_page_appends_script_strings_as_text(open_page: OpenPage, worker: FakeWorker) -> None:
    worker.submit()
    page = open_page(f"/runs/{worker.claim()}")
    for text in SCRIPTS:
        worker.log_line(text)
    page.get_by_text(SCRIPTS[-1], exact=False).first.wait_for(state="attached")
    assert_nothing_ran(page)
    shown = page.evaluate("document.documentElement.textContent")
    assert [text for text in SCRIPTS if text not in shown] == []


def test_the_list_shows_a_hostile_run_and_hostile_filters(open_page: OpenPage, worker: FakeWorker) -> None:
    submit_hostile_run(worker)
    page = open_page("/")
    assert_nothing_ran(page)
    for start in range(0, len(SCRIPTS), 10):
        text = "".join(SCRIPTS[start : start + 10])[:190]
        page.goto(f"/?{encode(name=text, tag=text, commit=text, sort=text)}")
        assert_nothing_ran(page)


def test_login_page_takes_script_strings(open_page: OpenPage) -> None:
    page = open_page("/login")
    for start in range(0, len(SCRIPTS), 10):
        page.goto(f"/login?{encode(back='/' + ''.join(SCRIPTS[start : start + 10]))}")
        assert_nothing_ran(page)


def test_refused_states_name_script_strings_as_text(open_page: OpenPage) -> None:
    page = open_page("/")
    for start in range(0, len(SCRIPTS), 10):
        page.goto(f"/?{encode(state=''.join(SCRIPTS[start : start + 10])[:190])}")
        assert_nothing_ran(page)


def encode(**fields: str) -> str:
    return urlencode(fields)


# A scheme, a colon and a word: letters that a tag may have, and nothing that a page could take for markup.
PLAIN_TAG = "javascript:window.broken=1"


def test_specs_take_no_markup_where_a_name_is_wanted(worker: FakeWorker) -> None:
    for text in SCRIPTS:
        for changes in ({"name": text}, {"tags": [text]}, {"dataset": text}, {"device": text}):
            wanted = 201 if changes == {"tags": [PLAIN_TAG]} else 422
            assert worker.client.post("/jobs", json=make_spec(**changes)).status_code == wanted, changes


def test_a_tag_like_a_scripts_address_leads_to_the_runs_that_have_it(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    worker.client.post("/jobs", json=make_spec(tags=[PLAIN_TAG])).raise_for_status()
    page = open_page("/")
    page.get_by_role("link", name=PLAIN_TAG).first.click()
    page.wait_for_url(re.compile(r"/\?.*javascript"))
    assert page.get_by_role("link", name=PLAIN_TAG).count() >= 1
    assert_nothing_ran(page)
