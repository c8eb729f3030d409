"""What changes on an open page while a worker reports."""

import pytest
from playwright.sync_api import expect

from dashboard.web import formats
from tests.support.browser import (
    OpenPage,
    eventually,
    expect_points,
    find_box,
    go_to,
    open_live,
    open_settings,
    shown_iteration,
)
from tests.support.fake_worker import FakeWorker

pytestmark = pytest.mark.browser


@pytest.mark.usefixtures("shares_service")
def test_new_grid_and_points_arrive_without_a_reload(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(200)
    page = open_live(open_page, job)
    page.evaluate("window.neverReloaded = true")
    expect_points(page, 20)
    worker.log_metrics(210, 220)
    sha256 = worker.save_grid(300)
    worker.log_line("a new line", 300)
    expect(shown_iteration(page)).to_have_text("300")
    expect(page.locator("img.grid")).to_have_attribute("src", f"/artifacts/{sha256}")
    expect(page.locator("frame-strip a[aria-current]")).to_have_accessible_name("Iteration 300")
    expect(page.locator(".log")).to_contain_text("a new line")
    expect(page.locator("run-vitals [data-field=progress]")).to_have_text("300 / 1,000")
    expect(page.locator("run-vitals [data-field=time]")).to_have_text("2 min 31 s")
    expect(page).to_have_title("30 % · first-light · Ganvas")
    expect_points(page, 22)
    assert page.evaluate("window.neverReloaded")
    expect(page.locator("img.grid")).to_have_js_property("naturalWidth", 224)


@pytest.mark.usefixtures("shares_service")
def test_nothing_is_missed_or_doubled_between_the_first_paint_and_the_stream(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(200)
    page = open_page("/")
    # The page is drawn, then the run goes on, and only then do the page's scripts begin.
    html = page.request.get(f"/runs/{job}").body()
    worker.log_metrics(*range(210, 310, 10))
    worker.save_grid(300)
    page.route(f"**/runs/{job}", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"/runs/{job}")
    expect(shown_iteration(page)).to_have_text("300")
    expect(page.locator("frame-view [data-field=position]")).to_have_text("3 of 3")
    expect_points(page, 30)
    worker.log_metrics(310)
    expect_points(page, 31)


@pytest.mark.usefixtures("shares_service")
def test_slider_keys_and_player_move_through_the_timeline(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(400)
    page = open_live(open_page, job)
    expect(page.locator("frame-player input")).to_have_attribute("aria-valuetext", "Iteration 400, grid 4 of 4")
    iteration = shown_iteration(page)
    for key, expected in (
        ("ArrowLeft", 300),
        ("ArrowLeft", 200),
        ("ArrowRight", 300),
        ("Home", 100),
        ("End", 400),
    ):
        page.keyboard.press(key)
        expect(iteration).to_have_text(str(expected))
    slider = page.get_by_label("Iteration of the timeline")
    # On the axis of the curves: of 1,000 iterations.
    slider.fill("0.24")
    expect(iteration).to_have_text("200")
    expect(slider).to_have_attribute("aria-valuetext", "Iteration 200, grid 2 of 4")
    page.get_by_role("link", name="Next").click()
    expect(iteration).to_have_text("300")
    page.locator("frame-strip a rect").first.click()
    expect(iteration).to_have_text("100")
    go_to(page, 290)
    expect(iteration).to_have_text("300")
    open_settings(page, "Player settings")
    page.locator(".settings").get_by_label("Speed").select_option("20")
    page.locator("h1").click()
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(iteration).to_have_text("400")
    expect(page.get_by_role("button", name="Play")).to_be_visible()


@pytest.mark.usefixtures("shares_service")
def test_curves_and_timeline_share_one_cursor(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(400)
    page = open_live(open_page, job)
    curves = worker.client.get(f"/jobs/{job}/metrics", params={"name": "loss/generator"}).json()["curves"][0]
    by_iteration = dict(zip(curves["iterations"], curves["values"], strict=True))
    legend = page.locator(".bench [data-metric='loss/generator'] [data-field=value]")
    for key, iteration in (("Home", 100), ("ArrowRight", 200)):
        page.keyboard.press(key)
        expect(legend).to_have_text(formats.show_number(by_iteration[iteration]))
    over = page.locator(".bench .u-over")
    box = find_box(page, over)
    over.click(position={"x": box["width"] * 0.31, "y": box["height"] / 2})
    expect(shown_iteration(page)).to_have_text("300")


@pytest.mark.usefixtures("shares_service")
def test_timeline_away_from_the_newest_grid_stays_and_counts_what_is_new(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(300)
    page = open_live(open_page, job)
    page.keyboard.press("ArrowLeft")
    worker.save_grid(400)
    worker.save_grid(500)
    unseen = page.locator(".steps [data-field=unseen]")
    expect(unseen).to_have_text("2 new")
    expect(shown_iteration(page)).to_have_text("200")
    page.get_by_role("link", name="Newest").click()
    expect(shown_iteration(page)).to_have_text("500")
    expect(unseen).to_have_text("")


@pytest.mark.usefixtures("shares_service")
def test_first_grid_of_a_run_appears_on_the_empty_film(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    page = open_live(open_page, job)
    expect(page.locator("h1")).to_contain_text("Queued")
    worker.claim()
    expect(page.locator("h1")).to_contain_text("Running")
    worker.save_grid(100)
    expect(shown_iteration(page)).to_have_text("100")
    worker.save_grid(200)
    expect(shown_iteration(page)).to_have_text("200")
    expect(page.get_by_role("button", name="Play")).to_be_enabled()


@pytest.mark.usefixtures("shares_service")
def test_next_attempt_drops_what_the_lost_one_reported_after_its_checkpoint(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(200)
    worker.save_checkpoint(200)
    worker.log_metrics(*range(210, 410, 10))
    worker.save_grid(300)
    worker.save_grid(400)
    page = open_live(open_page, job)
    expect(page.locator("frame-view [data-field=position]")).to_have_text("4 of 4")
    worker.finish("preempted")
    worker.claim("bench-3:1")
    expect(page.locator("frame-view [data-field=position]")).to_have_text("2 of 2")
    expect(shown_iteration(page)).to_have_text("200")
    expect(page.locator("#attempts")).to_contain_text("bench-3:1")
    expect_points(page, 20)
    worker.log_metrics(210)
    expect_points(page, 21)


@pytest.mark.usefixtures("shares_service")
def test_failure_arrives_at_the_top_of_an_open_page(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(100)
    page = open_live(open_page, job)
    worker.finish("failed", "training_diverged", "The loss became NaN.")
    expect(page.locator("#notice")).to_contain_text("The loss became NaN.")
    expect(page.locator("#notice")).to_contain_text("What to try.")
    expect(page.locator("h1")).to_contain_text("Failed")
    expect(page.locator("run-vitals")).to_contain_text("Time taken")
    # Its axis ends here too.
    end = "document.querySelector('.bench curve-chart').plot.u.scales.x.max"
    eventually(page, lambda: page.evaluate(end), 100)
    expect(page.get_by_label("Zoom to iteration")).to_have_value("100")
    expect(page.get_by_text("Cancel run")).to_have_count(0)


@pytest.mark.usefixtures("shares_service")
def test_run_that_fails_before_it_drew_anything_takes_its_empty_film_away(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    page = open_live(open_page, job)
    expect(page.locator("grid-timeline")).to_be_visible()
    worker.finish("failed", "dataset_unavailable", "MNIST is not here.")
    expect(page.locator("#notice")).to_contain_text("MNIST is not here.")
    expect(page.locator("grid-timeline, curve-chart")).to_have_count(0)
    expect(page.locator("#verdicts")).to_contain_text("It ended before its first iteration.")


def test_list_moves_and_takes_in_new_runs(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page("/")
    expect(page.locator("live-stream")).to_have_text("Live")
    expect(page.locator("h2")).to_have_text("No runs yet")
    job = worker.submit()
    row = page.locator(f"tr[data-run='{job}']")
    expect(row).to_contain_text("Queued")
    worker.claim()
    expect(row).to_contain_text("Running")
    worker.log_metrics(500)
    sha256 = worker.save_grid(500)
    expect(row.locator("[data-field=progress]")).to_have_text("500 / 1,000")
    expect(row.locator("[data-field=time]")).to_have_text("1 min 48 s")
    expect(row.locator("image")).to_have_attribute("href", f"/artifacts/{sha256}")
    later = worker.save_grid(600)
    expect(row.locator("image")).to_have_attribute("href", f"/artifacts/{later}")


@pytest.mark.usefixtures("shares_service")
def test_cancel_button_asks_and_then_cancels(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    page = open_page(f"/runs/{job}")
    page.get_by_text("Cancel run").click()
    page.get_by_role("button", name="Yes, cancel this run").click()
    expect(page.locator("h1")).to_contain_text("Cancelled")
    assert worker.client.get(f"/jobs/{job}").json()["state"] == "cancelled"


@pytest.mark.usefixtures("shares_service")
def test_asking_for_an_iteration_stops_the_player_and_stays_there(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(800, grid_every=10)
    page = open_live(open_page, job)
    page.clock.install()
    play, pause = (page.get_by_role("button", name=name) for name in ("Play", "Pause"))
    box = page.get_by_label("Iteration", exact=True)
    play.click()
    expect(pause).to_be_visible()
    box.evaluate("box => { box.value = 420; box.form.requestSubmit(); }")
    expect(play).to_be_visible()
    expect(shown_iteration(page)).to_have_text("420")
    page.clock.run_for(1000)
    expect(shown_iteration(page)).to_have_text("420")
    play.click()
    box.fill("5000")
    box.press("Enter")
    expect(play).to_be_visible()


@pytest.mark.usefixtures("shares_service")
def test_axes_are_as_wide_as_their_labels_and_count_whole_iterations(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    def read_axes(iterations: int, loss: float) -> list[str]:
        job = worker.submit(iterations=iterations, sample_every=iterations)
        worker.claim()
        for at in (1, 2):
            values = {"loss/generator": at * loss, "loss/discriminator": 0.5}
            worker.post({"kind": "metrics_logged", "iteration": at, "values": values})
        page = open_page(f"/runs/{job}")
        # The text that the canvas is told to draw, with the room that it has at the left and right edge.
        page.evaluate(WATCH_TEXT)
        expect(page.locator(".bench canvas")).to_be_visible()
        page.evaluate("document.querySelector('curve-chart').rebuild()")
        eventually(page, lambda: len(page.evaluate("window.drawn")) > 0, True)
        drawn = page.evaluate("window.drawn")
        for text, left, right, width in drawn:
            assert left >= 0, (text, left)
            assert right <= width, (text, right, width)
        worker.finish("succeeded")
        return [text for text, *_ in drawn]

    few = read_axes(20, 1.0)
    assert {"0", "5", "10", "15", "20"} <= set(few)
    many = read_axes(10_000_000, -411_872.0)
    assert "10,000,000" in many
    assert {"−400,000", "−500,000", "−800,000"} & set(many)


WATCH_TEXT = """() => {
  window.drawn = [];
  const draw = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
    const { a, e } = this.getTransform();
    const { actualBoundingBoxLeft: before, actualBoundingBoxRight: after } = this.measureText(text);
    window.drawn.push([text, a * (x - before) + e, a * (x + after) + e, this.canvas.width]);
    return draw.apply(this, arguments);
  };
}"""


def report_collapse(worker: FakeWorker, iteration: int, **changes: object) -> None:
    finding = {"rule": "mode_collapse", "since": 200, "severity": "serious", "text": "Collapsed: 64 cells, 1 kind"}
    evidence = {"evidence": {"signals/kinds": 1.0}}
    worker.post({"kind": "finding_reported", "iteration": iteration, **finding, **evidence, **changes})


@pytest.mark.usefixtures("shares_service")
def test_a_finding_arrives_at_the_top_of_the_page_along_its_axes_and_in_the_list(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(300)
    page, runs = open_live(open_page, job), open_page("/")
    verdict, row = page.locator("#verdict .verdict"), runs.locator(f"tr[data-run='{job}'] .verdict")
    expect(verdict).to_have_text("Not examined yet: no signals so far")
    expect(row).to_have_text("Not examined yet: no signals so far")
    expect_points(page, 30)
    page.evaluate("window.neverReloaded = true")
    report_collapse(worker, 300)
    text = "Collapsed since iteration 200: 64 cells, 1 kind"
    for shown in (verdict, row):
        expect(shown).to_have_text(text)
        expect(shown).to_have_attribute("data-tone", "serious")
    expect(page.locator("#findings")).to_contain_text(text)
    # From 200 to the end of 1,000 iterations, above the curves' own axis.
    begins = """() => {
      const box = (selector) => document.querySelector(selector).getBoundingClientRect();
      const [over, mark] = [box(".bench .u-over"), box("#marks-timeline .tone-serious rect")];
      return (mark.left - over.left) / over.width;
    }"""
    expect(page.locator("frame-player #marks-timeline .tone-serious rect")).to_have_attribute("x", "20%")
    eventually(page, lambda: page.evaluate(begins), pytest.approx(0.2, abs=0.005))
    page.locator("frame-player #marks-timeline .tone-serious").click()
    expect(shown_iteration(page)).to_have_text("200")
    verdict.get_by_role("link").click()
    expect(page.locator("#finding-mode_collapse-200")).to_be_in_viewport()
    # It ends: the verdict says so, and is no longer bad.
    report_collapse(worker, 400, ended=400)
    expect(verdict).to_have_attribute("data-tone", "unknown")
    expect(page.locator("#findings")).to_contain_text("from iteration 200 to 400")
    assert page.evaluate("window.neverReloaded")


@pytest.mark.usefixtures("shares_service")
def test_the_browser_tells_of_serious_faults_once_it_was_asked_to(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    page = open_page(f"/runs/{job}", permissions=["notifications"])
    page.evaluate(
        """() => {
          window.told = [];
          window.Notification = class {
            static permission = "default";
            static async requestPermission() { return (this.permission = window.answer); }
            constructor(title, { body }) { window.told.push(`${title}: ${body}`); }
          };
          window.answer = "denied";
        }"""
    )
    expect(page.locator("live-stream")).to_have_text("Live")
    page.get_by_label("Menu", exact=True).click()
    button = page.get_by_role("button", name="Notify me")
    button.click()
    expect(page.locator(".alerts [role=status]")).to_contain_text("allow them in its settings")
    expect(button).to_have_attribute("aria-pressed", "false")
    report_collapse(worker, 200)
    expect(page.locator("#findings")).to_contain_text("Collapsed since iteration 200")
    page.evaluate("window.answer = 'granted'")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".alerts [role=status]")).to_have_text("")
    report_collapse(worker, 310, since=300, severity="warning")
    report_collapse(worker, 320, since=310)
    report_collapse(worker, 330, since=310, evidence={})
    report_collapse(worker, 340, since=310, ended=340)
    expect(page.locator("#findings")).to_contain_text("from iteration 310 to 340")
    # Of a serious one, once; neither of what came before it was asked for, nor of a warning, nor of an end.
    eventually(page, lambda: page.evaluate("window.told"), ["first-light: Collapsed: 64 cells, 1 kind"])
    button.click()
    report_collapse(worker, 360, since=350)
    expect(page.locator("#findings")).to_contain_text("since iteration 350")
    assert page.evaluate("window.told.length") == 1
