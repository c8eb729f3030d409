"""`ganvas evaluate`: the figures of a stored checkpoint, whatever names it."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
import yaml

from ganlib.events import MetricsLogged
from ganvas.commands.specs import evaluate
from ganvas.commands.specs.evaluate import choose_checkpoint, find_checkpoint
from tests.conftest import LiveService
from tests.ganvas.conftest import RunCommand
from tests.support.fake_worker import connect

EVALUATION = ("--set", "evaluation={every: 10, samples: 16, metrics: [frechet_distance, certainty]}")


@pytest.fixture
def run(ganvas: RunCommand, tiny_spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder, with checkpoints at 10 and 20 that were both measured."""
    from ganlib.evaluation.classifier.network import CLASSIFIERS

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(CLASSIFIERS, "digits", replace(CLASSIFIERS["digits"], epochs=1))
    outcome = ganvas("train", tiny_spec, "--out", tmp_path / "run", *EVALUATION)
    assert outcome.status == 0, outcome.err
    return tmp_path / "run"


def logged(run: Path, iteration: int) -> dict[str, float]:
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    (values,) = [
        line["values"]
        for line in lines
        if line.get("iteration") == iteration and "eval/certainty" in line.get("values", ())
    ]
    return dict(values)


def test_a_folder_a_file_and_its_copy_get_the_figures_that_the_run_logged(
    ganvas: RunCommand, run: Path, tmp_path: Path
) -> None:
    def judge(target: object, *options: str) -> dict[str, Any]:
        outcome = ganvas("evaluate", target, *options, "--json")
        assert outcome.status == 0, outcome.err
        return dict(json.loads(outcome.out))

    newest = judge(run)
    assert (newest["iteration"], newest["samples"], newest["values"]) == (20, 16, logged(run, 20))
    assert newest["extractor"].startswith("digits classifier, version 1 (")
    assert newest["real_count"] == 16
    assert newest["by"].endswith(f"statistics {newest['real_digest'][:12]}.")
    earlier = judge(f"{run}@10")
    assert earlier["values"] == logged(run, 10)
    best = min((10, 20), key=lambda iteration: logged(run, iteration)["eval/frechet_distance"])
    assert judge(f"{run}@best")["iteration"] == best
    assert judge(run / "checkpoints/00000010.safetensors")["values"] == logged(run, 10)
    # Away from its run's folder, a checkpoint names the spec that decides its images, but no evaluation.
    copied = tmp_path / "copied.safetensors"
    copied.write_bytes((run / "checkpoints/00000010.safetensors").read_bytes())
    assert judge(copied, "--samples", "16", "--metrics", "eval/frechet_distance,certainty")["values"] == logged(
        run, 10
    )
    by_pixels = judge(run, "--judge", "pixels")
    assert list(by_pixels["values"]) == ["eval/frechet_distance", "eval/density", "eval/coverage"]


def test_the_table_names_what_the_figures_are_by(ganvas: RunCommand, run: Path) -> None:
    outcome = ganvas("evaluate", run)
    assert outcome.status == 0, outcome.err
    assert f"{run}, iteration 20" in outcome.out
    assert "Evaluation metrics are of 16 samples each, by the digits classifier" in outcome.out
    assert "Fréchet distance" in outcome.out
    assert "lower is better" in outcome.out
    assert "No metric is called 'fid'" in ganvas("evaluate", run, "--metrics", "fid").err
    assert "there are: 10, 20, newest, best" in ganvas("evaluate", f"{run}@15").err
    assert "there is no spec.yaml" in ganvas("evaluate", run.parent).err


def test_a_jobs_checkpoint_is_downloaded_and_removed(monkeypatch: pytest.MonkeyPatch, tiny_spec: Path) -> None:
    def download(sha256: str, path: Path) -> Path:
        path.write_text(sha256)
        return path

    stored = [make_checkpoint(10, "a"), make_checkpoint(20, "b", is_best=True), make_checkpoint(30, "c")]
    job = SimpleNamespace(id="abc", name="tiny", spec=yaml.safe_load(tiny_spec.read_text()))
    client = SimpleNamespace(get=lambda _: job, checkpoints=lambda _: stored, download=download)
    monkeypatch.setattr(evaluate, "open_client", lambda _: Opened(client))
    for asked, sha256 in (("abc", "c"), ("abc@newest", "c"), ("abc@best", "b"), ("abc@10", "a")):
        with find_checkpoint(asked, None) as found:
            assert found.path.read_text() == sha256
            assert found.title == "tiny (abc)"
            assert found.spec is not None
        assert not found.path.exists()


def test_a_job_of_a_service_gets_the_figures_that_its_run_logged(
    ganvas: RunCommand, run: Path, live_service: LiveService
) -> None:
    worker = connect(live_service.url)
    worker.client.post("/jobs", json=yaml.safe_load((run / "spec.yaml").read_text())).raise_for_status()
    job = worker.claim()
    for iteration in (10, 20):
        weights = (run / f"checkpoints/{iteration:08d}.safetensors").read_bytes()
        file = worker.put(weights, "application/octet-stream", f"{iteration:08d}.safetensors")
        worker.post({"kind": "metrics_logged", "iteration": iteration, "values": logged(run, iteration)})
        worker.post({"kind": "checkpoint_saved", "iteration": iteration, "file": file})
    worker.client.close()
    best = min((10, 20), key=lambda iteration: logged(run, iteration)["eval/frechet_distance"])
    for asked, iteration in ((job, 20), (f"{job}@10", 10), (f"{job}@best", best)):
        outcome = ganvas("evaluate", asked, "--json", "--url", live_service.url)
        assert outcome.status == 0, outcome.err
        judged = json.loads(outcome.out)
        assert (judged["iteration"], judged["values"]) == (iteration, logged(run, iteration))
    refused = ganvas("evaluate", f"{job}@15", "--url", live_service.url)
    assert (refused.status, "there are: 10, 20, newest, best" in refused.err) == (2, True)


class Opened:
    def __init__(self, client: Any) -> None:
        self.client = client

    def __enter__(self) -> Any:
        return self.client

    def __exit__(self, *_: object) -> None:
        pass


def make_checkpoint(iteration: int, sha256: str, is_best: bool = False, url: str | None = "/x") -> Any:
    return SimpleNamespace(iteration=iteration, sha256=sha256, is_best=is_best, url=url)


def test_what_is_not_stored_is_refused_with_what_is() -> None:
    retired, kept = make_checkpoint(10, "a", url=None), make_checkpoint(20, "b")
    with pytest.raises(
        click.UsageError, match="No checkpoint of iteration 10 is stored; there are: 20, newest, best"
    ):
        choose_checkpoint((retired, kept), "10")
    with pytest.raises(click.UsageError, match="No stored checkpoint was judged"):
        choose_checkpoint((retired, kept), "best")
    with pytest.raises(click.UsageError, match="No checkpoint is stored yet"):
        choose_checkpoint((retired,), "newest")
    assert choose_checkpoint((retired, kept), "newest") is kept


def test_the_last_line_of_events_may_be_torn(tmp_path: Path) -> None:
    event = MetricsLogged(iteration=1, values={"eval/certainty": 1.0}).model_dump_json()
    (tmp_path / "events.jsonl").write_text(f"{event}\n{event[:20]}")
    assert [event.iteration for event in evaluate._read_events(tmp_path / "events.jsonl")] == [1]
