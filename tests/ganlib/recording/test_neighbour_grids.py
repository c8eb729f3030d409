"""The grid of nearest training images: the right cells, in time, for data sets without a classifier too."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganlib.datasets import load_images
from ganlib.errors import SpecInvalid
from ganlib.spec.job import JobSpec

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]

NEIGHBOURS = {"every": 3, "metrics": ["neighbour_distance"], "neighbour_grid": True}


def read_cells(path: Any) -> Any:
    """The six cells of a grid of 2 × 3, in reading order: (6, 64)."""
    grid = np.asarray(Image.open(path)).astype(int)
    return grid.reshape(2, 8, 3, 8).transpose(0, 2, 1, 3).reshape(6, 64)


def test_each_cell_is_the_training_image_nearest_to_the_sample_in_that_cell(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    spec = make_spec(evaluation=NEIGHBOURS)
    run = run_training(spec)
    grids, samples = run.of_kind("neighbour_grid_saved"), run.of_kind("sample_grid_saved")
    assert [grid.iteration for grid in grids] == [3, 6]
    real = load_images(spec.dataset, torch.device("cpu")).flatten(1).numpy().astype(int)
    for grid, sample, logged in zip(grids, samples[1:], run.of_kind("histograms_logged"), strict=True):
        layout = {name: getattr(grid, name) for name in ("rows", "columns", "cell_width", "cell_height")}
        assert layout == {"rows": 2, "columns": 3, "cell_width": 8, "cell_height": 8}
        assert (grid.iteration, grid.latents_sha256) == (sample.iteration, sample.latents_sha256)
        apart = np.abs(read_cells(run.out_dir / sample.file.path)[:, None] - real[None]).mean(2)
        assert np.array_equal(read_cells(run.out_dir / grid.file.path), real[apart.argmin(1)])
        found = logged.histograms["neighbours/l1"]
        assert (sum(found.counts), found.not_finite) == (6, 0)
        assert (found.low, found.high) == pytest.approx((apart.min(1).min(), apart.min(1).max()), rel=1e-6)
        figures = [values for iteration, values in run.numbers() if iteration == grid.iteration]
        distance = next(v["eval/neighbour_distance"] for v in figures if "eval/neighbour_distance" in v)
        assert distance == pytest.approx(apart.min(1).mean(), rel=1e-6)


def test_only_who_asks_has_a_neighbour_grid(make_spec: MakeSpec, run_training: RunTraining) -> None:
    run = run_training(make_spec(evaluation=NEIGHBOURS | {"neighbour_grid": False}))
    assert run.of_kind("neighbour_grid_saved") == run.of_kind("histograms_logged") == []


def test_the_grid_needs_no_judge(make_spec: MakeSpec, run_training: RunTraining, monkeypatch: Any) -> None:
    monkeypatch.setattr(
        "ganlib.evaluation.evaluator.obtain_extractor", lambda *_: pytest.fail("an extractor was asked for")
    )
    assert len(run_training(make_spec(evaluation=NEIGHBOURS)).of_kind("neighbour_grid_saved")) == 2
    spec = make_spec(dataset={"name": "cifar10", "colour": "grey", "size": 8}, evaluation=NEIGHBOURS)
    assert spec.evaluation is not None
    assert spec.evaluation.neighbour_grid


def test_a_stopped_run_has_the_same_neighbours(make_spec: MakeSpec, run_training: RunTraining) -> None:
    spec = make_spec(evaluation=NEIGHBOURS)
    whole = run_training(spec)
    first = run_training(spec, stop_at=4)
    second = run_training(spec, resume_from=first.out_dir / "checkpoints/00000004.safetensors")
    for kind in ("neighbour_grid_saved", "histograms_logged"):
        assert first.of_kind(kind) + second.of_kind(kind) == whole.of_kind(kind)


def test_each_neighbour_grid_has_its_sample_grid(make_spec: MakeSpec) -> None:
    with pytest.raises(SpecInvalid, match="a multiple of sample_every, 3") as caught:
        make_spec(evaluation=NEIGHBOURS | {"every": 4})
    assert [problem.field for problem in caught.value.problems] == ["evaluation.every"]
    make_spec(evaluation=NEIGHBOURS | {"every": 4, "neighbour_grid": False})
