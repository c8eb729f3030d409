"""Starting runs in a real browser: from a recipe, from another run, once more; and a spec into the clipboard."""

import pytest
from playwright.sync_api import expect

from tests.support.browser import (
    OpenPage,
    Watch,
    eventually,
    expect_fit,
    find_violations_in_both_themes,
    open_record,
)
from tests.support.fake_worker import FakeWorker

pytestmark = pytest.mark.browser
WIDTHS = (1440, 390)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_newcomer_starts_a_run_from_the_empty_list(
    open_page: OpenPage, worker: FakeWorker, watches: list[Watch], scripts: bool
) -> None:
    page = open_page("/", java_script_enabled=scripts)
    page.get_by_role("link", name="Start one from a recipe").click()
    page.get_by_role("link", name="Begin with first-light").click()
    page.get_by_label("Iterations", exact=True).fill("many")
    page.get_by_label("Name").fill("my first run")
    page.get_by_role("button", name="Queue this run").click()
    expect(page.get_by_role("alert")).to_contain_text("one field is wrong")
    box = page.get_by_label("Iterations", exact=True)
    expect(box).to_have_accessible_description("Must be an integer")
    expect(box).to_have_value("many")
    box.fill("500")
    page.get_by_role("button", name="Queue this run").click()
    expect(page.locator("h1")).to_contain_text("my first run")
    (job,) = worker.client.get("/jobs").json()["items"]
    assert (job["name"], job["iterations"]) == ("my first run", 500)
    # The browser itself reports that a form was refused.
    watches[-1].complaints[:] = [each for each in watches[-1].complaints if "422" not in each]


def test_two_clicks_on_queue_make_one_run(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page("/new?recipe=first-light")
    page.get_by_role("button", name="Queue this run").dblclick()
    expect(page.locator("h1")).to_contain_text("first-light")
    assert len(worker.client.get("/jobs").json()["items"]) == 1


def test_run_again_with_another_learning_rate(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    page = open_page(f"/runs/{job}")
    page.get_by_role("link", name="Run again with changes …").click()
    page.get_by_label("Learning rate of the generator").fill("5e-4")
    page.get_by_role("button", name="Queue this run").click()
    expect(page.locator(".spec")).to_contain_text("0.0005")
    assert job not in page.url


def test_the_other_players_loss_follows_the_one_that_is_chosen(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page("/new?recipe=first-light")
    generator = page.get_by_label("Loss of the generator")
    discriminator = page.get_by_label("Loss of the discriminator")
    generator.select_option("least squares")
    expect(discriminator).to_have_value("least_squares")
    expect(page.locator("loss-pair")).to_have_text(
        "The loss of the discriminator is now least squares: the two belong together."
    )
    # Back where it began, so is the other one.
    discriminator.select_option("minimax")
    expect(generator).to_have_value("non_saturating")
    generator.select_option("minimax")
    expect(discriminator).to_have_value("minimax")
    expect(page.locator("loss-pair")).to_have_text("")
    discriminator.select_option("hinge")
    page.get_by_role("button", name="Queue this run").click()
    expect(page.locator(".spec")).to_contain_text("losses: {discriminator: hinge, generator: hinge}")


def test_failed_run_says_what_to_try_and_is_retried(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(100)
    worker.finish("failed", "out_of_memory", "CUDA ran out of memory.")
    page = open_page(f"/runs/{job}")
    expect(page.locator("#notice")).to_contain_text("batch_size is 64 now: halve it")
    page.get_by_role("button", name="Retry from the start").click()
    expect(page.locator("h1")).to_contain_text("Queued")
    assert job not in page.url


def test_spec_is_copied_to_the_clipboard_or_selected_where_there_is_none(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    job = worker.submit()
    page = open_page(f"/runs/{job}", permissions=["clipboard-read", "clipboard-write"])
    open_record(page, "Spec")
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("copy-text [role=status]")).to_have_text("Copied")
    assert "batch_size: 64" in page.evaluate("navigator.clipboard.readText()")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Copy").click()
    eventually(page, lambda: "batch_size: 64" in page.evaluate("getSelection().toString()"), True)


@pytest.mark.parametrize("path", ["/new", "/new?recipe=odena-mnist-100"])
def test_axe_finds_nothing_on_forms(open_page: OpenPage, path: str) -> None:
    page = open_page(path)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        expect_fit(page, width)
        assert find_violations_in_both_themes(page) == []


def test_axe_finds_nothing_on_a_refused_form(
    open_page: OpenPage, worker: FakeWorker, watches: list[Watch]
) -> None:
    page = open_page(f"/runs/{worker.submit()}/again")
    page.get_by_label("Batch size").fill("0")
    page.get_by_label("The whole spec as YAML").fill("name: [")
    page.get_by_role("button", name="Queue this run").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert find_violations_in_both_themes(page) == []
    watches[-1].complaints[:] = [each for each in watches[-1].complaints if "422" not in each]
