"""From which run another one was made, as both their pages say it."""

import re
from html import escape

from fastapi.testclient import TestClient

from api.jobs import edits
from tests.dashboard.new_run.test_form import read_form
from tests.dashboard.web.test_pages import read, words
from tests.support.fake_worker import FakeWorker


def run_again(client: TestClient, job: str, **changes: str) -> str:
    """Queue the run's form with these changes and return the new run's id."""
    answer = client.post(f"/runs/{job}/again", data=read_form(client, f"/runs/{job}/again") | changes)
    assert answer.status_code == 303, words(answer.text)
    return answer.headers["location"].removeprefix("/runs/")


def show_lineage(client: TestClient, job: str) -> str:
    """Return what the run's page says about where it comes from and what came of it, as it is read."""
    page = read(client, f"/runs/{job}")
    found = re.findall(r'<p class="lineage">.*?</p>|<section id="made">.*?</section>', page)
    return re.sub(r"\s+([;)])", r"\1", words(" ".join(found))).strip()


def test_a_run_of_its_own_says_nothing(client: TestClient, worker: FakeWorker) -> None:
    assert show_lineage(client, worker.submit()) == ""


def test_a_run_made_with_changes_and_its_source_lead_to_each_other(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    made = run_again(client, job, name="longer", iterations="2000", seed="8")
    young, old = show_lineage(client, made), show_lineage(client, job)
    assert young == "Made from first-light (iterations 1,000 → 2,000; seed 7 → 8; compare with first-light)"
    assert old.startswith("1 run was made from this one Made from this run longer (")
    assert "iterations 1,000 → 2,000" in old
    assert f'href="/runs/{job}">first-light' in read(client, f"/runs/{made}")
    assert f'href="/runs/{made}">longer' in read(client, f"/runs/{job}")
    assert f'href="/compare?run={job}&amp;run={made}"' in read(client, f"/runs/{made}")


def test_many_changes_are_counted_and_a_name_alone_is_none(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit(tags=["mnist"])
    other_tags = read_form(client, f"/runs/{job}/again")["yaml"].replace("mnist]", "other]")
    same = run_again(client, job, name="another", yaml=other_tags)
    assert "Made from first-light (the same spec; compare" in show_lineage(client, same)
    changes = {"iterations": "2", "seed": "8", "batch_size": "16", "sample_every": "1", "checkpoint_every": "2"}
    shown = show_lineage(client, run_again(client, job, **changes))
    assert (shown.count("→"), "; 2 more; compare" in shown) == (3, True), shown


def test_a_retry_is_called_one(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.finish("failed", "training_diverged", "NaN.")
    again = client.post(f"/runs/{job}/retry", data={"key": "0123456789abcdef"}).headers["location"]
    assert show_lineage(client, again.removeprefix("/runs/")).startswith("Retry of first-light (the same spec;")
    assert "Made from this run first-light (the same spec;" in show_lineage(client, job)


def test_of_many_the_newest_are_named_and_a_search_finds_all(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.submit(name="unrelated")
    made = [run_again(client, job, name=f"made-{number}", seed=str(number)) for number in range(7)]
    page = read(client, f"/runs/{job}")
    shown = show_lineage(client, job)
    assert re.findall(r"made-\d", re.sub(r"with made-\d", "", shown)) == [f"made-{n}" for n in (6, 5, 4, 3, 2)]
    assert shown.startswith("7 runs were made from this one")
    assert shown.endswith("All 7")
    assert f'href="/?q=from%3A{job}">All 7' in page
    found = read(client, f"/?q=from%3A{job}")
    assert all(f"/runs/{each}" in found for each in made)
    assert "unrelated" not in found


def test_a_source_that_was_deleted_is_named_and_one_that_is_gone_is_not_linked(
    client: TestClient, worker: FakeWorker
) -> None:
    job = worker.submit()
    made = run_again(client, job, seed="8")
    client.post(f"/jobs/{job}/cancel")
    client.delete(f"/jobs/{job}")
    assert "Made from first-light (deleted) (seed 7 → 8" in show_lineage(client, made)
    services = client.app.state.services  # type: ignore[attr-defined]
    with services.database.write() as session:
        edits.purge_job(session, job, -1.0)
    assert show_lineage(client, made) == f"Made from {job} (a deleted run)"
    assert f'href="/runs/{job}"' not in read(client, f"/runs/{made}")


def test_what_is_said_about_the_data_stands_on_the_page_once(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    about = {"kind": "line_logged", "iteration": 0, "about": "data"}
    lost = "1 of 4 image files in set.zip is left out, encrypted: <b>.png"
    worker.post(
        about | {"level": "warning", "text": lost},
        about | {"text": "set.zip is divided by its folders."},
        about | {"level": "warning", "text": lost},
        {"kind": "line_logged", "iteration": 0, "text": "Another line."},
    )
    html = read(client, f"/runs/{job}")
    section = re.search(r'<section id="data">.*?</section>', html, re.DOTALL)
    assert section is not None
    assert words(section[0]).strip() == f"Data {escape(lost)} set.zip is divided by its folders."


def test_a_run_whose_data_is_whole_has_no_such_section(client: TestClient, worker: FakeWorker) -> None:
    assert "<h2>Data</h2>" not in read(client, f"/runs/{worker.submit()}")


def test_a_grid_with_cells_that_are_no_images_is_told_beside_it(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(100)
    assert '<div id="sample-note"></div>' in read(client, f"/runs/{job}")
    text = "3 of 64 cells of the sample grid of iteration 100 hold numbers that are not finite."
    line = {"kind": "line_logged", "iteration": 100, "level": "warning", "text": text, "about": "samples"}
    worker.post(line)
    assert f'<div id="sample-note"><p class="quiet">{text}</p></div>' in read(client, f"/runs/{job}")


def test_the_best_judged_checkpoint_is_named_beside_the_newest(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    for iteration, distance in ((10, 5.0), (20, 2.0), (30, 4.0), (40, 4.5)):
        values = {"eval/frechet_distance": distance}
        worker.post({"kind": "metrics_logged", "iteration": iteration, "values": values})
        worker.save_checkpoint(iteration)
    rows = re.findall(r"<tr>(?:(?!</tr>).)*?everything.*?</tr>", read(client, f"/runs/{job}"), re.DOTALL)
    marked = [words(row) for row in rows if "best judged" in row]
    assert len(rows) == 3
    assert len(marked) == 1
    assert "of iteration 20" in marked[0]
