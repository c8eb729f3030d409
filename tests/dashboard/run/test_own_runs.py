"""Runs of somebody's own loop on every page: what no spec, seed or worker said is absent, and nothing breaks."""

import re

import pytest
from fastapi.testclient import TestClient

from dashboard.charts.chart import ChartAxis, ChartFrame, build_chart
from ganlib.vocabulary.losses import choose_drawn, find_losses
from tests.dashboard.web.test_pages import read, words
from tests.support.fake_worker import FakeWorker, OwnRun, make_grid_png

ODD = 'odd "name" <&?#/%'
PAGES = (
    "/runs/{id}",
    "/runs/{id}?iteration=5&cell=1-1",
    "/runs/{id}/export.html",
    "/runs/{id}/timeline.json",
    "/runs/{id}/cells/1-1",
    "/compare?run={other}&run={id}",
    "/compare?run={other}&run={id}&axis=images",
    "/compare?run={other}&run={id}&axis=time&view=wipe",
    "/compare/export.html?run={other}&run={id}",
    "/figures?run={id}",
    "/figures?kind=curves&run={id}",
    "/figures?kind=movie&run={id}",
    "/",
    "/?view=gallery",
    "/?q=origin%3Aown",
    "/queue-and-workers",
    "/runs/sparklines.svg",
)


def make_run(client: TestClient, **fields: object) -> OwnRun:
    """A run with losses of its own names, grids without known latents, files and a series of pictures."""
    run = OwnRun(client, config={"learning_rate": 0.1, "seed": 3}, **fields)
    for iteration in range(100, 5401, 100):
        values = {"loss_D": 1.0, "loss_G": 2.0, "val acc": 0.5, ODD: 0.25, "progress": 7.0}
        run.log(iteration, **values)
    for iteration in (1800, 3600, 5400):
        run.save_grid(iteration)
        run.save_file(f"images/real digits/{iteration:08d}.png", make_grid_png(iteration + 1), iteration)
    run.save_file("checkpoints/ü #1.pt", b"x" * 2000, 5400)
    run.save_file("notes.txt", b"hello", 5400)
    return run


def bare(client: TestClient) -> OwnRun:
    return OwnRun(client, "just begun")


def imported(client: TestClient) -> OwnRun:
    run = OwnRun(client, "old", origin="tensorboard", source="runs/old", iterations=2000)
    run.save_grid(100, cells=1)
    run.finish("failed", "exception", "It broke.")
    return run


@pytest.mark.parametrize("make", [make_run, bare, imported], ids=lambda make: make.__name__)
def test_every_page_holds_a_run_without_a_spec(client: TestClient, worker: FakeWorker, make: object) -> None:
    other = worker.submit()
    worker.claim()
    worker.train(500)
    run = make(client)  # type: ignore[operator]
    for page in PAGES:
        answer = client.get(page.format(id=run.id, other=other), headers={"accept": "text/html"})
        assert answer.status_code == 200, (page, answer.text[-500:])
        assert not re.search(r"\bNone\b(?! of)", words(answer.text.split("<main")[-1])), page


ABSENT = (
    "Run again", "Retry", "Seed", "Checkpoints", "Fixed latents", "/ 0", "Learning", "Faults now", "Worker",
    "Generator loss", "Not examined", "Working tree", "CPU threads",
)  # fmt: skip


def test_what_nobody_said_is_absent_from_the_run_s_page(client: TestClient, worker: FakeWorker) -> None:
    run = bare(client)
    html = read(client, f"/runs/{run.id}")
    shown = words(html.split("<main")[1])
    for part in (
        "own loop",
        "Time so far",
        "No config was given",
        "run.grid(images",
        "run.log({",
        "desk-3 4711",
        "Writer",
    ):
        assert part in shown, part
    for part in ABSENT:
        assert part not in shown, part
    assert "<progress" not in html
    # A job of a worker has all of these.
    job = worker.submit()
    html = read(client, f"/runs/{job}")
    for part in ("Run again", "Seed", "Checkpoints", "Fixed latents", "Learning", "Generator loss", "<progress"):
        assert part in html, part


def test_the_list_tells_progress_origin_and_losses_of_an_own_run(client: TestClient) -> None:
    run = make_run(client)
    imported(client)
    # Losses are columns to choose.
    html = read(client, "/?columns=name,progress,time,generator,discriminator")
    row = re.search(rf'<tr data-run="{run.id}".*?</tr>', html)
    assert row is not None
    shown = words(row[0])
    for part in ("5,400", "own loop", "so far", "2.00", "1.00"):
        assert part in shown, part
    assert "5,400 /" not in shown
    assert 'data-field="loss_G"' in row[0]
    # One with a planned end says how far it is.
    assert "100 / 2,000" in words(html)
    assert "Written by Any workers own loop TensorBoard" in words(html)
    assert run.id not in read(client, "/?q=origin:tensorboard")


def test_the_large_chart_shows_what_looks_like_both_losses(client: TestClient) -> None:
    html = read(client, f"/runs/{make_run(client).id}")
    chart = html.split('<curve-chart id="chart"')[1].split("</curve-chart>")[0]
    rows = re.findall(r'<tr data-metric="([^"]+)".*?class="curve-mark ([\w-]+)"', chart)
    assert rows == [("loss_G", "player-generator"), ("loss_D", "player-discriminator")]
    assert "<h2>Losses</h2>" in chart
    # The others have a small chart each, under their own names.
    measures = html.split('<section id="measures"')[1].split("</section>")[0]
    own = re.findall(r'<tr data-metric="([^"]+)"', measures)
    assert own == [
        "odd &#34;name&#34; &lt;&amp;?#/%",
        "progress",
        "val acc",
    ]


def test_ids_of_odd_names_are_words_without_blanks_and_each_its_own(client: TestClient) -> None:
    html = read(client, f"/runs/{make_run(client).id}")
    ids = re.findall(r'\sid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"\S+", name) for name in ids)
    assert set(re.findall(r'aria-describedby="([^"]*)"', html)) <= set(ids)


def test_charts_whose_headings_differ_in_signs_alone_have_ids_of_their_own() -> None:
    axis = ChartAxis("iteration", 10, None)
    headings = ("a b", "a-b", "A b", "a_b", "★", "☆", "loss", "Loss", "LOSS")
    assert len({build_chart(ChartFrame(heading, 100), [], axis).id for heading in headings}) == len(headings)


@pytest.mark.parametrize(
    ("names", "generator", "discriminator"),
    [
        (["loss_G", "loss_D"], "loss_G", "loss_D"),
        (["g_loss", "d_loss", "lr"], "g_loss", "d_loss"),
        (["errG", "errD", "D(x)", "D(G(z))"], "errG", "errD"),
        (["lossG", "lossD"], "lossG", "lossD"),
        (["Loss/Generator", "Loss/Discriminator"], "Loss/Generator", "Loss/Discriminator"),
        (["train/gen_loss", "train/critic_loss", "val/gen_loss"], "train/gen_loss", "train/critic_loss"),
        (["Generator", "Discriminator"], "Generator", "Discriminator"),
        (["loss/generator", "loss/discriminator", "loss_G"], "loss/generator", "loss/discriminator"),
        (["loss_D_real", "loss_D_fake", "loss_D", "loss_G"], "loss_G", "loss_D"),
        (["loss", "accuracy"], None, None),
        (["gradient norm", "D(x)", "G norm"], None, None),
    ],
)
def test_losses_are_found_under_the_names_that_people_give_them(
    names: list[str], generator: str | None, discriminator: str | None
) -> None:
    found = {player: name for name, player in find_losses(names).items()}
    assert (found.get("generator"), found.get("discriminator")) == (generator, discriminator)


def test_without_losses_the_first_metrics_are_drawn_and_counters_are_not() -> None:
    assert choose_drawn(["epoch", "zeta", "accuracy", "lr", "beta", "step", "delta"]) == [
        "accuracy",
        "beta",
        "delta",
    ]
    assert choose_drawn(["accuracy", "beta", "delta", "val/loss"]) == ["val/loss", "accuracy", "beta"]
    assert choose_drawn(["epoch"]) == ["epoch"]
    assert choose_drawn([]) == []


@pytest.mark.parametrize(
    ("names", "symbols"),
    [
        (("train/g_loss", "train/d_loss", "accuracy"), "gd"),
        (("d_loss", "lr"), "d"),
        # Losses of nobody in particular.
        (("accuracy", "loss", "val/loss", "z_loss"), "mn"),
        # The control: nothing that looks like a loss.
        (("accuracy", "progress"), ""),
    ],
)
def test_the_list_draws_what_looks_like_losses_while_a_run_grows_and_after_it(
    client: TestClient, names: tuple[str, ...], symbols: str
) -> None:
    run = OwnRun(client)
    for iteration in range(1, 6):
        run.log(iteration, **dict.fromkeys(names, float(iteration)))
    for _ in range(2):
        svg = client.get("/runs/sparklines.svg").text
        assert "".join(re.findall(r"<symbol id=\"(\w)-", svg)) == symbols
        assert "".join(re.findall(r"<use[^>]*#(\w)-", read(client, "/"))) == symbols
        run.finish("succeeded")


def test_cells_without_known_latents_are_not_compared_and_the_page_says_so(
    client: TestClient,
) -> None:
    run, known = make_run(client), OwnRun(client, "with latents")
    for iteration in (1, 2):
        known.save_grid(iteration, latents="a" * 64)
    shown = words(read(client, f"/runs/{run.id}?cell=1-1"))
    assert "Cells are not compared one by one" in shown
    assert "run.latents(z)" in shown
    assert "Follow" not in shown
    # Whose writer has no such call is not told of it as of theirs.
    for origin, said in (
        ("mlflow", "client has no call that says so"),
        ("wandb", "imported from does not say it"),
    ):
        other = OwnRun(client, origin=origin)
        other.save_grid(1)
        assert said in words(read(client, f"/runs/{other.id}"))
    assert "Cell in row 1, column 1" in words(read(client, f"/runs/{known.id}?cell=1-1"))
    compared = words(read(client, f"/compare?run={known.id}&run={run.id}&at=5400"))
    assert "The latents of 2 are not known: compare what is drawn as a whole" in compared
    both = words(read(client, f"/compare?run={make_run(client).id}&run={run.id}&at=5400"))
    assert "Same fixed latents" not in both
    assert "Where configs differ" in both


def test_files_are_listed_by_folder_and_their_links_give_them(client: TestClient) -> None:
    run = make_run(client)
    html = read(client, f"/runs/{run.id}")
    files = html.split('<section id="files">')[1].split("</section>")[0]
    assert "5 files" in words(files)
    assert re.findall(r"<summary>([^<]+)/ <", files) == ["checkpoints", "images/real digits"]
    links = re.findall(r'href="([^"]+)"', files)
    assert len(links) == 5
    by_name = {link.rpartition("/")[2]: client.get(link) for link in links}
    assert by_name["notes.txt"].content == b"hello"
    assert by_name["%C3%BC%20%231.pt"].content == b"x" * 2000
    assert "attachment" in by_name["notes.txt"].headers["content-disposition"]
    # Without files there is no such heading.
    assert "<h2>Files" not in read(client, f"/runs/{bare(client).id}")


def test_a_series_of_pictures_is_a_strip_at_the_timeline_s_iteration(client: TestClient) -> None:
    run = make_run(client)
    for query, current in (("", 5400), ("?iteration=4000", 3600), ("?iteration=1", 1800)):
        html = read(client, f"/runs/{run.id}{query}")
        series = html.split('<article class="series"')[1].split("</article>")[0]
        assert "real digits" in series
        assert f'data-field="series-iteration">{current:,}<' in series
        assert re.findall(r'data-iteration="(\d+)" aria-current="true"', series) == [str(current)]
        assert re.findall(r'data-iteration="(\d+)"', series) == ["1800", "3600", "5400"]


def test_a_histogram_of_any_name_is_a_heat_map(client: TestClient) -> None:
    run = OwnRun(client, "with histograms")
    for iteration in (10, 20, 30):
        own = {"low": -1.0, "high": 1.0, "counts": [iteration] * 64}
        run.post({"kind": "histograms_logged", "iteration": iteration, "histograms": {"weights/G layer #1": own}})
    html = read(client, f"/runs/{run.id}")
    assert "weights/G layer #1 over iterations" in words(html)
    (address,) = re.findall(r'href="(/runs/\w+/histograms/[^"]+)"', html)
    image = client.get(address.replace("&amp;", "&"))
    assert (image.status_code, image.headers["content-type"]) == (200, "image/png")
    link = client.post("/shares", json={"target": run.id}).json()["url"]
    assert client.get(link + address.replace("&amp;", "&")).status_code == 200


def test_texts_of_a_run_are_never_markup(client: TestClient, worker: FakeWorker) -> None:
    other, evil = worker.submit(), '"><script>alert(1)</script>'
    config = {evil: evil, "list": [evil]}
    run = OwnRun(client, evil, config=config, writer=evil, source=evil, note=evil, origin="wandb")
    run.log(1, **{evil: 1.0, f"loss_G {evil}": 2.0})
    run.save_grid(1)
    run.save_file(f"images/{evil.replace('/', '')}/00000001.png", make_grid_png(1), 1)
    run.save_file(f"{evil.replace('/', '')}/a.txt", b"a", 1)
    run.finish("failed", "exception", evil)
    for page in PAGES:
        answer = client.get(page.format(id=run.id, other=other), headers={"accept": "text/html"})
        assert answer.status_code == 200, page
        assert "<script>alert(1)" not in answer.text, page
    link = client.post("/shares", json={"target": run.id}).json()["url"]
    assert "<script>alert(1)" not in client.get(link).text
    assert "&lt;script&gt;alert(1)" in client.get(link).text


def test_an_own_run_cannot_be_started_from_here(client: TestClient) -> None:
    run = make_run(client)
    answer = client.get(f"/runs/{run.id}/again", headers={"accept": "text/html"})
    assert answer.status_code == 409
    assert "run its own program again" in words(answer.text)


def test_the_workers_page_counts_no_own_run_as_a_worker(client: TestClient) -> None:
    make_run(client)
    assert "desk-3" not in read(client, "/queue-and-workers")


@pytest.mark.parametrize(
    ("where", "found"),
    [("origin=own", ["my gan"]), ("origin!=own", ["old"]), ("state=failed", ["old"]),
     ('"val acc"=0.5', ["my gan"]),
     ("config.learning_rate<1", ["my gan"]), ('"progress">6', ["my gan"])],
)  # fmt: skip
def test_runs_are_found_by_origin_state_config_and_odd_metrics(
    client: TestClient, where: str, found: list[str]
) -> None:
    make_run(client)
    imported(client)
    answer = client.get("/jobs", params={"where": where})
    assert [job["name"] for job in answer.json()["items"]] == found
    refused = client.get("/jobs", params={"where": "origin=mine"})
    assert "the origins are ganlib, own" in refused.json()["error"]["message"]


def test_a_metric_whose_name_has_blanks_is_a_column_and_a_sort(client: TestClient) -> None:
    make_run(client)
    html = read(client, '/?columns="val acc",state&sort=-"val acc"')
    assert 'aria-sort="descending"' in html
    assert re.search(r'data-label="val acc">.*?0\.500', html) is not None


def test_no_page_takes_the_end_that_nobody_planned_for_the_first_iteration(client: TestClient) -> None:
    run = make_run(client)
    # A field with this limit takes no iteration: "Go" would do nothing.
    assert 'max="0"' not in read(client, f"/runs/{run.id}")
    assert " of 0" not in words(read(client, f"/figures?run={run.id}"))
    # The control: a planned end is the limit.
    planned = OwnRun(client, "planned", iterations=2000)
    planned.save_grid(100)
    assert 'max="2000"' in read(client, f"/runs/{planned.id}")


def test_cells_are_said_to_be_the_same_of_those_grids_alone_that_name_their_latents(client: TestClient) -> None:
    run = OwnRun(client)
    run.save_grid(100)
    run.save_grid(200, "a" * 64)
    run.save_grid(300, "a" * 64)
    assert "The same latents in 2 of 3 grids." in words(read(client, f"/runs/{run.id}?iteration=300"))
    followed = words(read(client, f"/runs/{run.id}?iteration=300&cell=1-1"))
    assert "All 2 grids. Grids without known latents, 1, are left out; these are from 200 to 300." in followed
    assert "The fixed latents changed" not in followed
    run.save_grid(400, "b" * 64)
    changed = words(read(client, f"/runs/{run.id}?iteration=300&cell=1-1"))
    assert "The fixed latents changed: 1 grids show other latents in this place" in changed
