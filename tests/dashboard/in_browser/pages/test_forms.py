"""Starting runs in a real browser: from a recipe, from another run, once more; and a spec into the clipboard."""

import re

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


def test_the_other_players_loss_follows_the_one_that_is_chosen(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page("/new?recipe=first-light")
    generator = page.get_by_label("Loss of the generator")
    discriminator = page.get_by_label("Loss of the discriminator")
    generator.select_option("least squares")
    expect(discriminator).to_have_value("least_squares")
    expect(page.locator(".pair-note")).to_have_text(
        "The loss of the discriminator is now least squares: the two belong together."
    )
    # Back where it began, so is the other one.
    discriminator.select_option("minimax")
    expect(generator).to_have_value("non_saturating")
    generator.select_option("minimax")
    expect(discriminator).to_have_value("minimax")
    expect(page.locator(".pair-note")).to_have_text("")
    discriminator.select_option("hinge")
    page.get_by_role("button", name="Queue this run").click()
    expect(page.locator(".spec")).to_contain_text("losses: {discriminator: hinge, generator: hinge}")


def test_form_yaml_and_blocks_say_the_same_as_one_types(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page("/new?recipe=first-light")
    text, blocks = page.get_by_label("The whole spec as YAML"), page.locator("[data-player=generator] .block")
    estimate, weights = page.locator(".estimate"), page.locator("[data-player=generator] .weights")
    expect(estimate).to_have_text("about 4 min on one CPU core")
    # From a field to the text, with the time; what is wrong stands at the field at once.
    page.get_by_label("Iterations", exact=True).fill("6000")
    expect(text).to_have_value(re.compile(r"^# First light.*^iterations: 6000$", re.S | re.M))
    expect(estimate).to_have_text("about 8 min on one CPU core")
    page.get_by_label("Batch size").fill("some")
    expect(page.get_by_label("Batch size")).to_have_accessible_description("Must be an integer")
    expect(page.locator(".check-note")).to_have_text("One field is wrong: batch_size.")
    # From the text to the fields.
    text.fill(text.input_value().replace("batch_size: some", "batch_size: 64"))
    expect(page.get_by_label("Batch size")).to_have_value("64")
    expect(page.locator(".check-note")).to_have_text("")
    # From a block to the text: the preset's layers are the spec's own from then on. By keyboard alone.
    expect(weights).to_have_text("6,609,473 weights")
    page.keyboard.press("Control+Home")
    size = blocks.nth(0).get_by_label("size")
    size.focus()
    size.press("ControlOrMeta+a")
    page.keyboard.type("512")
    expect(weights).to_have_text("3,380,289 weights")
    expect(text).to_have_value(
        re.compile(r"generator:\n  layers:\n    - \{layer: dense, size: 512\}\n    - relu\n")
    )
    expect(blocks.nth(3).locator(".shape")).to_have_text("6272")
    expect(blocks.nth(6).get_by_label("shape", exact=True)).to_have_value("128×7×7")
    expect(blocks.nth(6).locator(".block-facts .shape")).to_have_text("128×7×7")
    # The layer that does not fit is marked, with the service's words, and nothing after it has a shape.
    blocks.nth(6).get_by_role("button", name="Delete layer 6, reshape").press("Enter")
    expect(blocks.nth(6)).to_contain_text("Layer 6 (transposed_conv) needs an input of channels×height×width")
    assert blocks.nth(7).locator(".shape").text_content() == ""
    expect(page.locator(":focus")).to_have_attribute("aria-label", "Delete layer 6, transposed conv")
    page.keyboard.press("ControlOrMeta+z")
    expect(blocks.nth(6)).to_contain_text("reshape")
    expect(page.locator(".check-note")).to_have_text("")
    # Added after the block that was used last, duplicated, moved by a button and by the pointer.
    blocks.nth(1).get_by_role("button", name="Move down").focus()
    page.get_by_label("Layer to add to the generator").select_option("dropout")
    page.locator("[data-player=generator] .add").press("Enter")
    expect(text).to_have_value(re.compile("- relu\n    - dropout\n    - batch_norm\n"))
    blocks.nth(2).get_by_role("button", name="Duplicate").press("Enter")
    expect(text).to_have_value(re.compile("- dropout\n    - dropout\n"))
    blocks.nth(2).get_by_role("button", name="Move up").press("Enter")
    expect(page.locator(":focus")).to_have_attribute("aria-label", "Move up layer 1, dropout")
    expect(text).to_have_value(re.compile("512.\n    - dropout\n    - relu\n    - dropout\n    - batch_norm\n"))
    blocks.nth(3).locator(".grip").drag_to(blocks.nth(0).locator("strong"), target_position={"x": 4, "y": 1})
    expect(text).to_have_value(
        re.compile("layers:\n    - dropout\n    - .layer: dense, size: 512.\n    - dropout\n    - relu\n")
    )
    # Undone step by step, down to the preset.
    for _ in range(5):
        page.get_by_role("button", name="Undo").click()
    expect(page.locator("[data-player=generator] .preset")).to_have_text("Preset winkler_mnist_generator")
    expect(weights).to_have_text("6,609,473 weights")
    page.get_by_role("button", name="Queue this run").click()
    expect(page.locator("h1")).to_contain_text("first-light")
    (job,) = worker.client.get("/jobs").json()["items"]
    spec = worker.client.get(f"/jobs/{job['id']}").json()["spec"]
    assert (spec["iterations"], spec["batch_size"], len(spec["generator"]["layers"])) == (6000, 64, 12)
    # Run again: a name that says what was changed, until somebody names it.
    page.get_by_role("link", name="Run again with changes …").click()
    page.get_by_label("Learning rate of the generator").fill("4e-4")
    expect(page.get_by_label("Name")).to_have_value("first-light, generator learning rate 0.0004")
    page.get_by_label("Learning rate of the discriminator").fill("4e-4")
    expect(page.get_by_label("Name")).to_have_value("first-light, learning rate 0.0004")
    page.get_by_label("Name").fill("mine")
    page.get_by_label("Seed").fill("3")
    expect(text).to_have_value(re.compile(r"^name: mine$.*^seed: 3$", re.S | re.M))
    text.fill("name: [")
    expect(text).to_have_accessible_description(re.compile("this is not YAML: the list that begins here"))
    assert find_violations_in_both_themes(page) == []
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".check-note")).to_have_text("")
    page.get_by_role("button", name="Queue this run").click()
    expect(page.locator("h1")).to_contain_text("mine")
    expect(page.locator(".spec")).to_contain_text("0.0004")
    assert job["id"] not in page.url


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
