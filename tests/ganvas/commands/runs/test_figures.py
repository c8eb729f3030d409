"""`ganvas figure` and `ganvas movie`, against a real service."""

from pathlib import Path

import pytest
from PIL import Image
from pypdf import PdfReader

from tests.conftest import LiveService
from tests.ganvas.conftest import RunCommand
from tests.support.fake_worker import connect


@pytest.fixture
def run(live_service: LiveService, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run with three grids, of the service that GANVAS_URL names."""
    monkeypatch.setenv("GANVAS_URL", live_service.url)
    worker = connect(live_service.url)
    worker.submit(name="first-light")
    worker.claim()
    worker.train(300)
    worker.client.close()
    return worker.job_id


def test_a_figure_is_saved_under_the_runs_name_and_not_over_another_file(
    ganvas: RunCommand, run: str, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "figure.pdf"
    asked = ("figure", "first-light", "--iterations", "100,300", "--rows", 2, "--label", "ours", "--out", path)
    saved = ganvas(*asked)
    assert (saved.status, saved.out.strip()) == (0, str(path)), saved.err
    text = PdfReader(path).pages[0].extract_text()
    assert "300" in text
    assert "ours" in text
    before = path.read_bytes()
    refused = ganvas(*asked)
    assert refused.status == 2
    assert "exists; --force replaces it" in refused.err
    assert ganvas(*asked[:3], "200", "--out", path, "--force").status == 0
    assert path.read_bytes() != before
    assert [file.name for file in path.parent.iterdir()] == ["figure.pdf"]


def test_curves_and_movies_are_saved_by_the_beginning_of_an_id(
    ganvas: RunCommand, run: str, tmp_path: Path
) -> None:
    table, movie = tmp_path / "curves.csv", tmp_path / "run.gif"
    assert ganvas("figure", run[:5], "--curves", "loss/generator", "--out", table).status == 0
    assert table.read_text().count("\n") == 31
    told = ganvas("movie", run[:5], "--from", 200, "--size", 64, "--out", movie)
    assert told.status == 0, told.err
    with Image.open(movie) as image:
        assert image.n_frames == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("figure", "nothing", "--out", "a.pdf"), 2, "'nothing' is neither an id, nor the beginning of one"),
        (("figure", "first-light", "--out", "a.doc"), 2, "must end with one of: .pdf, .svg, .png"),
        (("figure", "first-light", "--out", "a.csv"), 2, "must end with one of"),
        (("figure", "first-light", "--log-y", "--out", "a.pdf"), 2, "--log-y is for --curves"),
        (("figure", "first-light", "--curves", "eval/fid", "--out", "a.pdf"), 1, "there are: loss/discriminator"),
        (("movie", "first-light", "--from", "900", "--out", "a.gif"), 1, "no sample grid there yet"),
        (("movie", "first-light", "--out", "a.avi"), 2, "must end with one of: .mp4, .gif, .png"),
    ],
)
@pytest.mark.usefixtures("run")
def test_what_cannot_be_saved_gets_a_sentence_and_leaves_no_file(
    ganvas: RunCommand,
    arguments: tuple[str, ...],
    status: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = ganvas(*arguments)
    assert outcome.status == status
    assert says in outcome.err
    assert list(tmp_path.glob("*a.*")) == []


def test_a_name_of_several_runs_lists_their_ids(
    ganvas: RunCommand, live_service: LiveService, run: str, tmp_path: Path
) -> None:
    worker = connect(live_service.url)
    other = worker.submit(name="first-light")
    worker.client.close()
    outcome = ganvas("movie", "first-light", "--out", tmp_path / "a.gif")
    assert outcome.status == 2
    assert "2 jobs are named first-light" in outcome.err.replace("\n", " ")
    assert run in outcome.err
    assert other in outcome.err
