"""The list of runs without a script: search, columns, gallery, sparklines, and what is done with chosen runs."""

import re
from urllib.parse import urlencode

from fastapi.testclient import TestClient

from tests.dashboard.web.test_pages import read, words
from tests.support.fake_worker import FakeWorker


def send(client: TestClient, path: str, *fields: tuple[str, str]) -> str:
    """Post a form and return where it leads."""
    response = client.post(path, content=urlencode(fields).encode())
    assert response.status_code == 303, response.text
    return str(response.headers["location"])


def act(client: TestClient, action: str, *job_ids: str, **fields: str) -> str:
    """Do this with runs and return what the list then says, as HTML."""
    chosen = [("run", job_id) for job_id in job_ids]
    return read(client, send(client, "/runs/actions", *chosen, *fields.items(), ("action", action)))


def headings(html: str) -> list[str]:
    return [words(cell).strip() for cell in re.findall(r"<th scope=\"col\".*?</th>", html)]


def test_search_box_finds_by_tag_field_and_metric(client: TestClient, worker: FakeWorker) -> None:
    worker.submit(name="alpha", tags=["sweep"], losses={"generator": "hinge", "discriminator": "hinge"})
    worker.submit(name="bravo", seed=99)
    worker.claim()
    worker.log_metrics(500)
    for search, found in (
        ("tag:sweep", "alpha"),
        ("losses.generator=hinge", "alpha"),
        ("seed>50", "bravo"),
        ("loss/generator>0", "alpha"),
        ("-losses.generator=hinge brav", "bravo"),
    ):
        html = read(client, f"/?{urlencode({'q': search})}")
        assert {name for name in ("alpha", "bravo") if f">{name}</a>" in html} == {found}, search
        assert f'value="{search.replace(">", "&gt;")}"' in html


def test_wrong_search_is_explained_beside_the_box_and_shows_how_to_search(
    client: TestClient, worker: FakeWorker
) -> None:
    worker.submit(name="alpha")
    html = read(client, f"/?{urlencode({'q': 'losses.genrator=hinge'})}")
    assert 'aria-invalid="true"' in html
    assert "did you mean losses.generator?" in html
    assert 'value="losses.genrator=hinge"' in html
    assert ">alpha</a>" not in html
    assert "How to search" in html
    assert "No job has a metric foo/bar" in read(client, f"/?{urlencode({'q': 'foo/bar<3'})}")
    assert "losses.generator=hinge" in html


def test_columns_of_the_address_win_and_those_of_the_form_are_kept(client: TestClient, worker: FakeWorker) -> None:
    worker.submit(name="alpha", techniques=[{"technique": "ema_generator"}])
    worker.claim()
    worker.log_metrics(100)
    shown = read(client, "/?columns=state,losses.generator,techniques,loss/generator,nonsense")
    assert headings(shown)[1:] == ["Run", "State", "losses.generator", "techniques", "loss/generator"]
    assert "non_saturating" in shown
    assert "ema_generator" in shown
    assert 'data-field="loss/generator"' in shown
    assert "A spec has no field nonsense" in words(shown)
    usual = ["Newest", "Run", "Health", "Best score", "Losses", "State", "Progress", "Time", "Age"]
    assert headings(read(client, "/"))[1:] == usual
    form = [("column", "state"), ("column", "age"), ("others", "eval/fid, seed nonsense.field"), ("back", "/?q=a")]
    assert send(client, "/runs/columns", *form) == "/?q=a"
    assert headings(read(client, "/"))[1:] == ["Run", "State", "eval/fid", "seed", "Age"]
    assert "No job has a metric eval/fid;" in words(read(client, "/"))
    assert "A spec has no field nonsense" in words(read(client, "/"))
    assert headings(read(client, "/?columns=id"))[1:] == ["Run", "Id"]
    send(client, "/runs/columns")
    assert headings(read(client, "/"))[1:] == ["Run"]


def test_every_shown_column_that_sorts_leads_to_its_order(client: TestClient, worker: FakeWorker) -> None:
    for name, iteration in (("alpha", 100), ("bravo", 200)):
        worker.submit(name=name)
        worker.claim()
        worker.log_metrics(iteration)
    html = read(client, "/?columns=state,progress,time,generator,eval/fid,age")
    for href in re.findall(r'<th scope="col"[^>]*>.*?<a href="([^"]+)"', html):
        for _ in range(2):
            ordered = read(client, href.replace("&amp;", "&"))
            assert {"alpha", "bravo"} <= set(re.findall(r"alpha|bravo", ordered))
    rising = read(client, "/?sort=loss/generator&columns=generator")
    values = [float(value) for value in re.findall(r'data-field="loss/generator">([\d.]+)<', rising)]
    assert values == sorted(values)
    assert 'aria-sort="ascending"' in rising


def test_a_field_of_the_spec_is_a_column_that_sorts(client: TestClient, worker: FakeWorker) -> None:
    for name, size in (("alpha", 64), ("bravo", 128), ("charlie", 8)):
        worker.submit(name=name, batch_size=size)
    columns = "/?columns=losses.generator,batch_size"
    html = read(client, columns)
    (href,) = re.findall(r'<a href="([^"]*sort=batch_size[^"]*)"', html)
    rising = read(client, href.replace("&amp;", "&"))
    names = re.findall(r"(alpha|bravo|charlie)</a>", rising)
    assert list(dict.fromkeys(names)) == ["charlie", "alpha", "bravo"]
    assert 'aria-sort="ascending"' in rising
    (href,) = re.findall(r'<a href="([^"]*sort=-batch_size[^"]*)"', rising)
    falling = re.findall(r"(alpha|bravo|charlie)</a>", read(client, href.replace("&amp;", "&")))
    assert list(dict.fromkeys(falling)) == ["bravo", "alpha", "charlie"]
    for wrong in ("losses.genrator", "batch_size'--", "spec", "-"):
        assert "aria-sort" not in read(client, f"{columns}&sort={wrong}")


def test_groups_fold_seeds_and_lead_to_their_runs(client: TestClient, worker: FakeWorker) -> None:
    for seed, loss in ((1, 2.0), (2, 4.0)):
        worker.submit(name=f"h{seed}", seed=seed, losses={"generator": "hinge", "discriminator": "hinge"})
        worker.claim()
        worker.post({"kind": "metrics_logged", "iteration": 1, "values": {"a/b": loss}})
    worker.submit(name="other")
    html = read(client, "/?group=losses.generator&columns=a/b,state")
    rows = [words(row) for row in re.findall(r"<tr data-group>.*?</tr>", html, re.S)]
    assert "hinge Its runs" in rows[0]
    assert "2 running" in rows[0]
    assert "3.00 ± 1.4 n 2" in rows[0]
    assert "non_saturating Its run " in rows[1]
    (href,) = re.findall(r'<a href="(/\?[^"]*losses.generator%3Dhinge[^"]*)"', html)
    listed = read(client, href.replace("&amp;", "&"))
    assert [name for name in ("h1", "h2", "other") if f">{name}</a>" in listed] == ["h1", "h2"]
    # What waits has no curve.
    (compare,) = {*re.findall(r'href="(/compare\?[^"]*)"', html)}
    assert compare.startswith("/compare?group=losses.generator&amp;run=")
    assert compare.count("run=") == 2
    assert re.search(r'<input type="hidden" name="group" value="losses.generator">', html)
    wrong = words(read(client, "/?group=losses.genrator"))
    assert "Cannot group by losses.genrator" in wrong
    assert "did you mean losses.generator?" in wrong


def test_words_of_a_search_are_those_that_exist(client: TestClient, worker: FakeWorker) -> None:
    worker.submit(name="alpha", tags=["good"], techniques=[{"technique": "ema_generator"}])
    worker.claim()
    worker.post({"kind": "metrics_logged", "iteration": 1, "values": {"eval/coverage": 0.5}})
    said = client.get("/runs/words.json").json()["words"]
    found = {each["word"]: each["kind"] for each in said}
    wanted = {"tag:": "key", "tag:good": "tag", "losses.generator": "field", "eval/coverage": "metric"}
    assert found | wanted == found
    assert "eval/frechet_distance" not in found
    values = {
        of: client.get("/runs/words.json", params={"of": of}).json()["words"]
        for of in ("state", "techniques", "no")
    }
    assert [each["word"] for each in values["state"]][:2] == ["queued", "running"]
    assert values["techniques"] == [{"word": "ema_generator", "kind": "value", "about": "1 run"}]
    assert values["no"] == []
    html = read(client, "/")
    assert 'placeholder="Name, tag:good, losses.generator=hinge, eval/coverage&lt;0.5"' in html
    assert "No job has the tag godo; did you mean good?" in words(read(client, "/?q=tag:godo"))


def test_first_page_login_and_missing_pages_show_a_real_timeline_and_where_to_go(client: TestClient) -> None:
    empty = read(client, "/")
    (picture,) = re.findall(r'<img src="(/static/[^"]*sample-timeline.png)"', empty)
    assert 'href="/new">Start one from a recipe</a>' in empty
    assert len(client.get(picture).content) < 60_000
    for path in ("/login", "/figures", "/compare"):
        assert picture in read(client, path)
    missing = client.get("/runs/nothing", headers={"accept": "text/html"})
    assert missing.status_code == 404
    assert re.search(r'<form class="find-run" method="get" action="/" role="search">', missing.text)
    assert '<a href="/">Back to the runs</a>' in missing.text


def test_gallery_shows_newest_grids_state_losses_and_verdict(client: TestClient, worker: FakeWorker) -> None:
    worker.submit(name="alpha")
    worker.claim()
    worker.train(200)
    newest = worker.save_grid(300)
    worker.submit(name="waits")
    html = read(client, "/?view=gallery")
    assert f'<img src="/artifacts/{newest}" alt="Samples of alpha at iteration 300"' in html
    shown = words(html)
    for part in ("Running", "Not examined yet: no signals so far", "300 / 1,000", "No grid yet", "Queued"):
        assert part in shown, part
    # In the picture and among those that train now, and not of what waits.
    assert shown.count("Not examined") == 2
    assert "<table" not in html


def test_the_list_says_how_runs_are_how_many_there_are_and_which_train_now(
    client: TestClient, worker: FakeWorker
) -> None:
    judged = worker.submit(name="judged", tags=["a", "b", "c", "d"])
    worker.claim()
    for iteration, distance in ((100, 30.0), (200, 12.5), (300, 20.0)):
        worker.post(
            {"kind": "metrics_logged", "iteration": iteration, "values": {"eval/frechet_distance": distance}}
        )
    newest = worker.save_grid(300)
    for html in (read(client, "/"), worker.finish("succeeded") or read(client, "/")):
        row = html.split(f'<tr data-run="{judged}"')[1].split("</tr>")[0]
        # The best of all, not the newest, and what it is.
        assert "12.5 Fréchet distance" in words(row)
        assert re.findall(r'title="(Fréchet[^"]*)"', row) == [
            "Fréchet distance 12.5 at iteration 200; lower is better"
        ]
        assert 'title="c, d" aria-label="2 more tags: c, d">+2</a>' in row
        assert (f'data-live="{judged}"' in html) is (">Running</span>" in html)
    worker.submit(name="trains")
    worker.claim()
    worker.submit(name="waits")
    html = read(client, "/")
    (live,) = re.findall(r'<section id="live".*?</section>', html, re.S)
    shown = [f">{name}</a>" in live for name in ("trains", "judged", "waits")]
    assert (shown, newest in live) == ([True, False, False], False)
    (tabs,) = re.findall(r'<nav class="tabs" aria-label="Runs by state">.*?</nav>', html, re.S)
    assert words(tabs).split() == re.split(" ", "All 3 Queued 1 Running 1 Succeeded 1 Failed 0 Cancelled 0")
    assert "data-live" not in read(client, "/?q=trains")


def test_gallery_and_table_are_remembered_unless_the_address_names_one(
    client: TestClient, worker: FakeWorker
) -> None:
    worker.submit(name="alpha")
    assert send(client, "/runs/view", ("view", "gallery"), ("back", "/?q=alpha")) == "/?q=alpha"
    assert 'class="gallery"' in read(client, "/")
    assert 'class="gallery"' not in read(client, "/?view=table")
    send(client, "/runs/view", ("view", "nonsense"))
    assert 'class="gallery"' not in read(client, "/")


def test_sparklines_of_a_page_are_one_file_that_the_rows_name(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit(name="alpha")
    worker.claim()
    worker.train(400)
    growing = client.get("/runs/sparklines.svg").text
    worker.finish("succeeded")
    html = read(client, "/?q=alpha")
    (url,) = set(re.findall(r'<use class="player-\w+" href="([^"#]+)#\w-' + job, html))
    answer = client.get(url.replace("&amp;", "&"))
    assert answer.headers["content-type"] == "image/svg+xml"
    # While it runs 400 of 1,000 iterations are two fifths of the width; then the axis ends where the run did.
    for svg, end in ((growing, 48), (answer.text, 120)):
        paths = re.findall(r"<symbol id=\"([gd])-" + job + r"\" .*? d='M([^']+)'", svg)
        assert [player for player, _ in paths] == ["g", "d"]
        for _, path in paths:
            points = [tuple(map(float, point.split(","))) for point in path.split()]
            assert len(points) >= 20
            assert points[0][0] <= 5
            assert end - 5 < points[-1][0] <= end
            assert all(0 <= x <= 120 and 0 <= y <= 28 for x, y in points)


def test_the_sparkline_of_a_noisy_run_is_the_line_of_its_means_in_a_band(
    client: TestClient, worker: FakeWorker
) -> None:
    job = worker.submit(iterations=9000)
    worker.claim()
    # From 0 to 2 and back with each point, around 1: no step is in it.
    for first in range(1, 9001, 1500):
        worker.post(*(
            {"kind": "metrics_logged", "iteration": at, "values": {"loss/generator": 2.0 * (at % 2)}}
            for at in range(first, first + 1500)
        ))  # fmt: skip
    growing = client.get("/runs/sparklines.svg").text
    worker.finish("succeeded")
    for svg in (growing, client.get("/runs/sparklines.svg").text):
        line, band = re.findall(r" d='M([^']+)'", svg.split(f'"g-{job}"')[1])[:2]
        heights = [float(point.split(",")[1]) for point in line.split()]
        assert len(heights) == 60
        assert all(abs(height - 14) < 0.5 for height in heights)
        assert {point.split(",")[1] for point in band.removesuffix("Z").split()} == {"1.0", "27.0"}


def test_chosen_runs_are_tagged_and_the_notice_takes_it_back(client: TestClient, worker: FakeWorker) -> None:
    ids = [worker.submit(name=name) for name in ("alpha", "bravo", "charlie")]
    html = act(client, "tag", *ids[:2], tag="good")
    assert "2 runs were tagged good. " in words(html)
    assert html.count("tag%3Agood") == 2
    assert 'name="action" value="untag">Undo</button>' in html
    assert "were tagged" not in words(read(client, "/"))
    assert "no longer tagged good" in words(act(client, "untag", *ids[:2], tag="good"))
    html = act(client, "tag", *ids[:1], tag="größe 2")
    (href,) = re.findall(r'href="(/\?q=tag[^"]*)"', html)
    assert ">alpha</a>" in read(client, href.replace("&amp;", "&"))
    assert ">bravo</a>" not in read(client, href.replace("&amp;", "&"))
    assert "Nothing was changed" in words(act(client, "tag", *ids, tag='two "words"'))


def test_deleted_runs_come_back_with_undo(client: TestClient, worker: FakeWorker) -> None:
    ended, other, waits = (worker.submit(name=name) for name in ("ended", "other", "waits"))
    act(client, "cancel", ended, other)
    html = act(client, "delete", ended, waits)
    shown = words(html)
    assert "1 run was deleted." in shown
    assert f"{waits}: The job is queued; cancel it first" in shown
    assert ">ended</a>" not in html
    assert f'name="run" value="{ended}"' in html[: html.index("Undo")]
    assert ">ended</a>" in act(client, "restore", ended)
    assert ">ended</a>" in read(client, "/")


def test_page_of_a_deleted_run_says_so_and_brings_it_back(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit(name="ended")
    act(client, "cancel", job)
    act(client, "delete", job)
    html = read(client, f"/runs/{job}")
    assert "This run was deleted" in words(html)
    back = [("run", job), ("action", "restore"), ("back", f"/runs/{job}")]
    assert send(client, "/runs/actions", *back) == f"/runs/{job}"
    assert "This run was deleted" not in words(read(client, f"/runs/{job}"))


def test_comparing_needs_two_runs(client: TestClient, worker: FakeWorker) -> None:
    first, second = worker.submit(), worker.submit()
    both = client.get(f"/runs/compare?run={first}&run={second}&tag=&back=/")
    assert both.headers["location"] == f"/compare?run={first}&run={second}"
    assert client.get(f"/runs/compare?run={first}&back=/?q=x").headers["location"] == "/?q=x"


def test_forged_notices_and_ways_back_do_no_harm(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    client.cookies.set("ganvas_done", "bm9uc2Vuc2U=")
    client.cookies.set("ganvas_columns", "nonsense,state,..x")
    assert headings(read(client, "/"))[1:] == ["Run", "State"]
    away = [("run", job), ("action", "cancel"), ("back", "https://elsewhere.example")]
    assert send(client, "/runs/actions", *away) == "/"
    assert send(client, "/runs/actions", ("run", "..x"), ("action", "explode")) == "/"
