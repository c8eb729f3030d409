"""The mixture of Gaussians: where its blobs lie, how far they stray, and that it is the same each time."""

from typing import Any

import pytest
import torch

from ganlib.datasets import load_train_and_test, load_training
from ganlib.datasets.gaussians import draw_blobs, find_centres
from ganlib.errors import SpecInvalid
from ganlib.spec.parse import parse_spec
from ganlib.spec.sections.datasets import GaussiansSpec
from ganlib.trainer import StopReason
from tests.ganlib.conftest import MakeSpec


def centroids(images: torch.Tensor) -> torch.Tensor:
    """Return the brightness-weighted mean place (N, 2) of each image, on a picture from -1 to 1."""
    weights = images.double().squeeze(1)
    size = weights.shape[1]
    axis = (torch.arange(size) + 0.5) * 2 / size - 1
    total = weights.sum((1, 2))
    x = (weights * axis).sum((1, 2)) / total
    y = (weights * axis.unsqueeze(1)).sum((1, 2)) / total
    return torch.stack([x, y], dim=1)


def test_a_blob_has_the_brightness_worked_out_by_hand() -> None:
    # (0.6, 0) on 16 pixels: column 1.6 · 8 - 0.5 = 12.3, row 7.5, deviation 1 pixel.
    (image,) = draw_blobs(torch.tensor([[0.6, 0.0]]), 16)
    assert image.dtype == torch.uint8
    assert image.shape == (1, 16, 16)
    # 255 · exp(-(0.3² + 0.5²)/2) = 215.1 and 255 · exp(-(0.7² + 0.5²)/2) = 176.1
    assert image[0, 7, 11:15].tolist() == [97, 215, 176, 53]
    assert image[0, 8].tolist() == image[0, 7].tolist()
    assert image[0, :, :6].max() == 0


def test_a_ring_begins_at_the_right_and_goes_on_downwards() -> None:
    expected = [[0.6, 0], [0, 0.6], [-0.6, 0], [0, -0.6]]
    assert torch.allclose(find_centres(4, "ring"), torch.tensor(expected), atol=1e-6)


def test_a_grid_is_read_as_a_page_is() -> None:
    centres = find_centres(9, "grid")
    assert torch.allclose(centres[:4], torch.tensor([[-0.6, -0.6], [0, -0.6], [0.6, -0.6], [-0.6, 0]]))


@pytest.mark.parametrize(("layout", "modes"), [("ring", 8), ("grid", 9)])
def test_points_stray_from_their_own_mode_by_the_deviation_asked_for(layout: Any, modes: int) -> None:
    spec = GaussiansSpec(layout=layout, modes=modes, std=0.04, size=32, count=9000)
    data = load_training(spec)
    strays = centroids(data.images) - find_centres(modes, layout)[data.labels]
    # 18,000 numbers: a standard error of 0.5 %.
    assert strays.std().item() == pytest.approx(0.04, rel=0.02)
    assert strays.mean(0).abs().max().item() < 0.002
    # The wrong mode is far away.
    assert (centroids(data.images) - find_centres(modes, layout)[data.labels.roll(1)]).std().item() > 0.2


def test_every_mode_has_as_many_images_and_another_part_tests() -> None:
    training, test = load_train_and_test(GaussiansSpec(modes=8, size=8, count=1000))
    assert training.images.shape == (1000, 1, 8, 8)
    assert torch.bincount(training.labels).tolist() == [125] * 8
    assert torch.bincount(test.labels).tolist() == [25] * 8
    assert test.class_names == ("0", "1", "2", "3", "4", "5", "6", "7")
    assert not torch.equal(test.images, training.images[:200])


def test_the_images_are_the_same_each_time_and_follow_the_deviation() -> None:
    first, again = (load_training(GaussiansSpec(count=500)).images for _ in range(2))
    assert torch.equal(first, again)
    still = load_training(GaussiansSpec(count=500, std=0)).images
    assert torch.equal(still[0], still[8])
    assert not torch.equal(first[0], first[8])


def test_a_specs_class_count_is_its_modes() -> None:
    assert GaussiansSpec(modes=25, layout="grid").class_count == 25


@pytest.mark.parametrize(
    ("dataset", "field", "words"),
    [
        ({"layout": "grid"}, "dataset.modes", "a grid needs a square number of modes, such as 4 or 9, not 8"),
        ({"modes": 1}, "dataset.modes", "must be at least 2"),
        ({"size": 64}, "dataset.size", "must be at most 32"),
        ({"std": -0.1}, "dataset.std", "must be at least 0"),
        ({"layout": "star"}, "dataset.layout", "allowed: 'ring' or 'grid'"),
        ({"count": 100}, "dataset.count", "must be at least 500"),
    ],
)
def test_a_mixture_that_cannot_be_drawn_is_refused(
    make_spec_data: Any, dataset: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse_spec(make_spec_data(dataset={"name": "gaussians", "size": 8, **dataset}))
    (problem,) = caught.value.problems
    assert (problem.field, words in problem.message) == (field, True), problem


def test_a_run_trains_on_it_to_its_end(make_spec: MakeSpec, run_training: Any) -> None:
    run = run_training(make_spec(dataset={"name": "gaussians", "size": 8, "count": 500}))
    assert run.kinds()[-1] == ("training_ended", 6)
    assert run.reason is StopReason.COMPLETED
