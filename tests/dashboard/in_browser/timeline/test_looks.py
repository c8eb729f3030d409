"""How parts of pages stand and what they look like, where that says something."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.in_browser.compare.test_compare import make_run, open_compared
from tests.support.browser import OpenPage, eventually, expect_fit, find_box, find_violations_in_both_themes
from tests.support.fake_worker import FakeWorker

pytestmark = pytest.mark.browser


def span(part: Locator) -> tuple[float, float]:
    """Return where a part begins and ends from left to right."""
    box = part.bounding_box()
    assert box is not None
    return box["x"], box["x"] + box["width"]


def free_space(page: Page) -> tuple[int, int]:
    """Return how much of the film is free at the left of the compared grids, and at their right."""
    grids = page.locator("compare-grid")
    film_left, film_right = span(page.locator("#film"))
    return round(span(grids.first)[0] - film_left), round(film_right - span(grids.last)[1])


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.usefixtures("shares_service")
def test_compared_grids_stand_in_the_middle_below_their_names(
    open_page: OpenPage, worker: FakeWorker, count: int
) -> None:
    jobs = [make_run(worker, "a name that needs two lines" if count == 5 else "short", 100) for _ in range(count)]
    page = open_compared(open_page, "&".join(f"run={job}" for job in jobs))
    page.set_viewport_size({"width": 1440, "height": 900})
    eventually(page, lambda: abs(free_space(page)[0] - free_space(page)[1]) <= 2, True)
    grids = page.locator("compare-grid")
    expect(grids).to_have_count(count)
    eventually(page, lambda: len({find_box(page, grid)["y"] for grid in grids.all()}), 1)
    for figure in page.locator(".compare-grids figure").all():
        name, grid = figure.locator(".compare-name"), figure.locator("compare-grid")
        eventually(page, lambda name=name, grid=grid: span(name) == span(grid), True)


def test_tags_look_like_links(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit(tags=["sharp"])
    for path in ("/", "/?view=gallery", f"/runs/{job}"):
        tag = open_page(path).get_by_role("link", name="sharp")
        expect(tag).to_have_css("text-decoration-line", "underline")


def test_rows_of_the_list_are_no_higher_than_what_they_hold(open_page: OpenPage, worker: FakeWorker) -> None:
    worker.submit()
    page = open_page("/")
    row = page.locator("tr[data-run]").element_handle()
    below = """(row) => row.getBoundingClientRect().bottom
      - Math.max(...[...row.children].map((cell) => cell.getBoundingClientRect().bottom))"""
    for width in (600, 900):
        page.set_viewport_size({"width": width, "height": 900})
        eventually(page, lambda: page.evaluate(below, row) <= 20, True)


@pytest.mark.parametrize("width", [390, 900])
def test_the_list_is_sorted_on_narrow_screens_too(open_page: OpenPage, worker: FakeWorker, width: int) -> None:
    for name in ("second", "first", "third"):
        worker.submit(name=name)
    page = open_page("/", viewport={"width": width, "height": 900})
    page.get_by_role("link", name="Run", exact=True).click()
    expect(page.locator("[data-run] .run > a")).to_have_text(["first", "second", "third"])
    expect(page.locator("thead [aria-sort=ascending]")).to_have_text("Run")
    expect_fit(page, width)
    assert find_violations_in_both_themes(page) == []


def test_the_runs_of_a_figure_stand_in_columns(open_page: OpenPage, worker: FakeWorker) -> None:
    for name in ("a", "much-longer-than-the-others", "c", "d", "e", "f"):
        worker.submit(name=name)
    page = open_page("/figures")
    page.set_viewport_size({"width": 900, "height": 900})

    def find_lefts() -> list[int]:
        return [round(span(each)[0]) for each in page.locator(".choices li").all()]

    eventually(page, lambda: find_lefts()[:3] == find_lefts()[3:6], True)


@pytest.mark.usefixtures("shares_service")
def test_no_page_is_wider_than_the_screen_between_phone_and_desk(open_page: OpenPage, worker: FakeWorker) -> None:
    job = make_run(worker, "a-run-with-a-name-of-some-length", 100)
    worker.submit(name="waits", tags=["one-tag", "another-tag"], queue={"commit": "0123456789"})
    for path in ("/", f"/runs/{job}", f"/figures?run={job}", "/new?order=time", "/queue-and-workers", "/docs"):
        page = open_page(path)
        for width in (600, 768, 900, 1024, 1261):
            page.set_viewport_size({"width": width, "height": 900})
            expect_fit(page, width)
