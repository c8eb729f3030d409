"""The list of runs, the queue and the keys in a real Chromium."""

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.conftest import LiveService
from tests.support.browser import OpenPage, eventually
from tests.support.fake_worker import FakeWorker

pytestmark = pytest.mark.browser
STROKES = """() => [...document.querySelectorAll('.spark')].map((svg) => svg.getBBox().width)"""


def expect_names(page: Page, *names: str) -> None:
    expect(page.locator("[data-run] .run a.run-link")).to_have_text(list(names))


def test_sparklines_are_drawn_from_one_file_in_both_themes(open_page: OpenPage, worker: FakeWorker) -> None:
    for name in ("alpha", "bravo"):
        worker.submit(name=name)
        worker.claim()
        worker.train(300)
        worker.finish("succeeded")
    asked: list[str] = []
    page = open_page("about:blank")
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/")
    expect(page.locator(".spark")).to_have_count(2)
    eventually(page, lambda: all(width > 50 for width in page.evaluate(STROKES)), True)
    assert len({url for url in asked if "sparklines.svg" in url}) == 1


def test_new_losses_and_grids_reach_rows_and_pictures(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit(name="alpha")
    worker.claim()
    worker.train(100)
    table, gallery = open_page("/?columns=generator,progress"), open_page("/?view=gallery")
    for page in (table, gallery):
        expect(page.locator("live-stream")).to_have_text("Live")
    worker.log_metrics(150)
    sha256 = worker.save_grid(200)
    for page in (table, gallery):
        expect(page.locator(f'[data-run="{job}"] [data-field="progress"]')).to_have_text("200 / 1,000")
    picture = gallery.locator('[data-run] [data-field="grid"]')
    expect(picture).to_have_attribute("src", f"/artifacts/{sha256}")
    # So does the large picture above the list, which stays when the run ends.
    live = table.locator(f'[data-live="{job}"]')
    expect(live.locator("img")).to_have_attribute("src", f"/artifacts/{sha256}")
    worker.finish("succeeded")
    expect(table.locator(f'[data-run="{job}"]')).to_have_attribute("data-state", "succeeded")
    expect(live.locator('[data-field="time"]')).to_have_text("Done")
    expect(picture).to_have_attribute("alt", "Samples of alpha at iteration 200")


def test_chosen_runs_stay_chosen_while_new_ones_come_in(open_page: OpenPage, worker: FakeWorker) -> None:
    jobs = [worker.submit(name=f"run-{number}") for number in range(4)]
    page = open_page("/")
    expect(page.locator("live-stream")).to_have_text("Live")
    # Nothing is chosen: nothing is offered.
    expect(page.locator("#chosen")).to_be_hidden()
    boxes = page.locator("input[name=run]")
    boxes.nth(0).check()
    expect(page.get_by_role("button", name="Compare")).to_be_disabled()
    boxes.nth(2).click(modifiers=["Shift"])
    expect(page.locator("[data-field=chosen]")).to_have_text("3 chosen")
    worker.submit(name="newcomer")
    expect(page.get_by_role("link", name="newcomer")).to_be_visible()
    expect(page.locator("[data-field=chosen]")).to_have_text("3 chosen")
    chosen = page.locator("input[name=run]:checked")
    eventually(page, lambda: chosen.evaluate_all("(all) => all.map((box) => box.value)"), jobs[:0:-1])
    page.get_by_role("button", name="All", exact=True).click()
    expect(page.locator("[data-field=chosen]")).to_have_text("5 chosen")
    page.get_by_role("button", name="None", exact=True).click()
    expect(page.locator("#chosen")).to_be_hidden()


def test_runs_are_reached_chosen_and_opened_by_keys(open_page: OpenPage, worker: FakeWorker) -> None:
    jobs = [worker.submit(name=f"run-{number}") for number in range(3)]
    page = open_page("/?columns=state,seed")
    expect(page.locator("[data-field=chosen]")).to_be_hidden()
    expect(page.locator("chosen-runs")).to_be_hidden()
    for key, name in (("j", "run-2"), ("j", "run-1"), ("k", "run-2"), ("k", "run-2"), ("j", "run-1")):
        page.keyboard.press(key)
        expect(page.get_by_role("link", name=name)).to_be_focused()
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("[data-field=chosen]")).to_have_text("2 chosen")
    assert (
        page.locator("input[name=run]:checked").evaluate_all("(all) => all.map((box) => box.value)") == jobs[1::-1]
    )
    page.keyboard.press("x")
    expect(page.locator("[data-field=chosen]")).to_have_text("1 chosen")
    # Letters that are written belong to the text.
    page.keyboard.press("/")
    page.keyboard.type("jkxgr")
    expect(page.get_by_role("combobox", name="Search runs")).to_have_value("jkxgr")
    page.get_by_role("link", name="run-0").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{jobs[0]}")


def test_what_exists_is_suggested_while_one_types(open_page: OpenPage, worker: FakeWorker) -> None:
    worker.submit(name="alpha", tags=["two words"])
    worker.claim()
    worker.log_metrics(100)
    page = open_page("/")
    search, options = page.get_by_role("combobox", name="Search runs"), page.get_by_role("option")
    search.press_sequentially("-tag:tw")
    expect(options).to_have_count(1)
    search.press("ArrowDown")
    search.press("Enter")
    expect(search).to_have_value('-tag:"two words"')
    search.press_sequentially(" los.gen")
    expect(options).to_have_count(0)
    search.fill("losses.ge")
    search.press_sequentially("n")
    expect(options.first).to_contain_text("losses.generator")
    search.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    search.press("Tab")
    # Then the values that runs have of it.
    expect(search).to_have_value("losses.generator=")
    expect(options).to_have_count(1)
    options.first.click()
    expect(search).to_have_value("losses.generator=non_saturating")
    search.press("Enter")
    expect_names(page, "alpha")
    columns = page.get_by_label("Metrics and fields of the spec")
    page.get_by_label("Columns", exact=True).first.click()
    columns.press_sequentially("seed loss/gen")
    expect(options).to_have_count(1)
    columns.press("Escape")
    expect(options).to_have_count(0)
    expect(columns).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_runs_are_tagged_cancelled_deleted_and_brought_back(
    open_page: OpenPage, worker: FakeWorker, scripts: bool
) -> None:
    for name in ("alpha", "bravo"):
        worker.submit(name=name)
    page = open_page("/", java_script_enabled=scripts)

    def choose(*chosen: str) -> None:
        for name in chosen:
            page.get_by_label(f"Choose {name}").check()

    choose("alpha", "bravo")
    page.get_by_placeholder("tag", exact=True).fill("good")
    page.get_by_role("button", name="Add tag").click()
    expect(page.get_by_text("2 runs were tagged good.")).to_be_visible()
    if scripts:
        # What was tagged together is often compared next.
        expect(page.locator("[data-field=chosen]")).to_have_text("2 chosen")
        page.reload()
        expect(page.locator("#chosen")).to_be_hidden()
    page.get_by_role("link", name="good").first.click()
    expect_names(page, "bravo", "alpha")
    expect(page.get_by_label("Search runs")).to_have_value("tag:good")
    choose("alpha")
    page.get_by_text("Cancel …").click()
    page.get_by_role("button", name="Yes, cancel the chosen runs").click()
    expect(page.get_by_text("1 run was asked to stop.")).to_be_visible()
    choose("alpha", "bravo")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("1 run was deleted.")).to_be_visible()
    expect(page.get_by_text("cancel it first")).to_be_visible()
    expect_names(page, "bravo")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("1 run was restored.")).to_be_visible()
    expect_names(page, "bravo", "alpha")


def test_search_columns_and_views_without_scripts(open_page: OpenPage, worker: FakeWorker) -> None:
    worker.submit(name="alpha", seed=8)
    worker.submit(name="bravo")
    page = open_page("/", java_script_enabled=False)
    page.get_by_role("searchbox").fill("seed=8")
    page.get_by_role("button", name="Search", exact=True).click()
    expect_names(page, "alpha")
    page.get_by_label("Columns", exact=True).first.click()
    page.get_by_role("checkbox", name="Age").uncheck()
    page.get_by_label("Metrics and fields of the spec").fill("seed eval/fid")
    page.get_by_role("button", name="Show these").click()
    expect(page.get_by_role("columnheader", name="eval/fid")).to_be_visible()
    expect_names(page, "alpha")
    heads = page.locator("thead th").all_inner_texts()
    assert "Age" not in heads
    assert {"seed", "eval/fid"} <= set(heads)
    page.get_by_role("button", name="Gallery").click()
    expect(page.locator("table")).to_have_count(0)
    expect_names(page, "alpha")
    page.get_by_role("searchbox").fill("sate:failed")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("did you mean state:?")


def test_keys_lead_to_the_search_and_to_their_list(open_page: OpenPage, worker: FakeWorker) -> None:
    worker.submit()
    page = open_page("/")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_contain_text("to the search")
    expect(dialog).not_to_contain_text("the grid before")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("/")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("a?b/c")
    expect(page.get_by_role("combobox")).to_have_value("a?b/c")
    expect(dialog).to_be_hidden()


def test_queue_page_follows_claims_and_ends(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page("/queue-and-workers")
    expect(page.locator("live-stream")).to_have_text("Live")
    worker.submit(name="alpha")
    expect(page.locator("#queue-summary")).to_have_text("1 waiting, 0 running, no worker")
    worker.claim(worker="bench-9:1")
    expect(page.locator("#workers")).to_contain_text(re.compile(r"bench-9:1\s+runs\s+alpha"))
    expect(page.locator("#waiting")).to_contain_text("The queue is empty")
    worker.finish("succeeded")
    expect(page.locator("#queue-summary")).to_have_text("0 waiting, 0 running, no worker")


def test_the_address_that_mlflows_client_prints_leads_to_the_run(
    open_page: OpenPage, live_service: LiveService
) -> None:
    made = httpx.post(f"{live_service.url}/api/2.0/mlflow/runs/create", json={"run_name": "by mlflow"})
    info = made.json()["run"]["info"]
    page = open_page(f"/#/experiments/0/runs/{info['run_id']}")
    expect(page.locator("h1")).to_contain_text("by mlflow")
