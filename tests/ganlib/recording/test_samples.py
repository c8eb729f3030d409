"""Sample grids: where each cell lies, and which value each pixel has."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from ganlib.training.recording.samples import arrange_grid, draw_samples, write_png


def test_cells_lie_in_latent_order_row_by_row() -> None:
    images = torch.arange(6, dtype=torch.uint8).reshape(6, 1, 1, 1).expand(6, 1, 2, 3)
    grid = arrange_grid(images, rows=2, columns=3)
    assert grid.shape == (4, 9, 1)
    assert grid[::2, ::3, 0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert grid[1::2, 2::3, 0].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_pixels_keep_their_place_and_colour_inside_a_cell(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (4, 3, 5, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_png(arrange_grid(images, rows=2, columns=2), tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as picture:
        assert (picture.mode, picture.size) == ("RGB", (12, 10))
        assert picture.getpixel((6 + 2, 5 + 4)) == tuple(images[3, :, 4, 2].tolist())


def test_minus_one_is_black_and_one_is_white_and_nothing_wraps_around() -> None:
    values = torch.tensor([[-1.0], [0.0], [1.0], [-3.0], [3.0], [float("nan")]])
    images = draw_samples(nn.Unflatten(1, (1, 1, 1)), values)
    assert images.flatten().tolist() == [0, 128, 255, 0, 255, 0]


def test_grey_pictures_are_stored_as_grey(tmp_path: Path) -> None:
    write_png(torch.tensor([[[0], [128], [255]]], dtype=torch.uint8), tmp_path / "grey.png")
    with Image.open(tmp_path / "grey.png") as picture:
        assert (picture.mode, list(picture.tobytes())) == ("L", [0, 128, 255])


@pytest.mark.parametrize("training", [True, False])
def test_a_cell_depends_on_its_own_latent_alone_and_the_mode_is_kept(training: bool) -> None:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(4, 9), nn.BatchNorm1d(9), nn.Dropout(0.5), nn.Unflatten(1, (1, 3, 3)))
    generator.train(training)
    latents = torch.randn(300, 4)
    together = draw_samples(generator, latents)
    assert torch.equal(draw_samples(generator, latents[7:8]), together[7:8])
    assert generator.training == generator[1].training == training
    assert generator[1].num_batches_tracked.item() == 0
