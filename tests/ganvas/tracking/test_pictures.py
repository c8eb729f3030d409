import io
import re
import sys
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas.tracking.pictures import capture as captures
from ganvas.tracking.pictures.capture import capture, read_range, recognise_range
from ganvas.tracking.pictures.drawing import Painter, Shape, choose_shape, read_shape
from ganvas.tracking.pictures.png import Cells, PngUnreadable, cut, decode_png, encode_png, lay_out

SHADES = np.arange(4 * 3 * 5 * 6, dtype=np.uint8).reshape(4, 3, 5, 6)


def draw(images: Any, said: Any = None, **shape: Any) -> np.ndarray[Any, Any]:
    """The picture that Pillow reads."""
    captured = capture(images)
    asked = {"rows": None, "columns": None, "padding": None} | shape
    sheet = Painter().draw_sheet(captured, said, read_shape(captured, **asked))
    return np.asarray(Image.open(io.BytesIO(sheet.png)))


def as_grid(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Four pictures (4, C, H, W) as two by two."""
    rows = [np.concatenate([images[index], images[index + 1]], axis=2) for index in (0, 2)]
    grid = np.concatenate(rows, axis=1).transpose(1, 2, 0)
    return grid[:, :, 0] if grid.shape[2] == 1 else grid


@pytest.mark.parametrize(
    "images",
    [
        SHADES,
        SHADES.transpose(0, 2, 3, 1),
        torch.from_numpy(SHADES),
        torch.from_numpy(SHADES).to(torch.int64),
        list(torch.from_numpy(SHADES)),
        list(SHADES),
        [Image.fromarray(each) for each in np.ascontiguousarray(SHADES.transpose(0, 2, 3, 1))],
        torch.from_numpy(SHADES).float() / 255,
        SHADES / 255,
        torch.from_numpy(SHADES).double(),
    ],
)
def test_pictures_of_every_layout_and_type_give_the_same_grid(images: Any) -> None:
    assert np.array_equal(draw(images), as_grid(SHADES))


def test_pictures_without_channels_and_single_ones_are_drawn() -> None:
    grey = SHADES[:, :1]
    assert np.array_equal(draw(grey[:, 0]), as_grid(grey))
    assert np.array_equal(draw(torch.from_numpy(SHADES[0])), SHADES[0].transpose(1, 2, 0))
    assert np.array_equal(draw(SHADES[0, 0]), SHADES[0, 0])
    assert np.array_equal(draw(SHADES[:, :1] > 3), as_grid((SHADES[:, :1] > 3).astype(np.uint8) * 255))
    assert draw(Image.new("RGBA", (3, 2), (1, 2, 3, 4))).tolist() == [[[1, 2, 3, 4]] * 3] * 2


def test_pytorch_without_numpy_draws_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    floats = torch.linspace(-1.2, 1.2, 4 * 3 * 5 * 6).reshape(4, 3, 5, 6)
    floats[0, 0, 0, 0] = torch.nan
    whole, halves = draw(floats), draw(floats.half())
    monkeypatch.setattr(captures, "_to_array", lambda _: None)
    assert np.array_equal(draw(floats), whole)
    assert np.array_equal(draw(floats.half()), halves)
    assert np.array_equal(draw(torch.from_numpy(SHADES)), as_grid(SHADES))


def test_ends_of_a_range_are_black_and_white_and_nan_is_black() -> None:
    row = torch.tensor([[-1.0, 0.0, 1.0, torch.nan, torch.inf, -torch.inf]])
    assert draw(row, said=(-1.0, 1.0)).tolist() == [[0, 128, 255, 0, 255, 0]]
    assert draw(torch.tensor([[0.0, 0.5, 1.0, 2.0]]), said=(0.0, 1.0)).tolist() == [[0, 128, 255, 255]]


@pytest.mark.parametrize(
    ("low", "high", "before", "found"),
    [
        (-0.9, 0.9, None, (-1, 1)),
        (0.0, 1.0, None, (0, 1)),
        (-0.01, 1.01, None, (0, 1)),
        (0.0, 255.0, None, (0, 255)),
        # A generator of tanh whose picture happens to be light, and one that was dark before.
        (0.1, 0.9, (-1.0, 1.0), (-1, 1)),
        (-0.5, 0.9, (0.0, 1.0), (-1, 1)),
    ],
)
def test_the_range_of_floats_is_recognised(low: float, high: float, before: Any, found: Any) -> None:
    assert recognise_range(low, high, before) == found


def test_how_floats_are_read_is_said_once_and_again_where_it_changes() -> None:
    painter, notes = Painter(), list[str]()
    for images in (torch.rand(4, 1, 2, 2), torch.rand(4, 1, 2, 2), -torch.rand(4, 1, 2, 2)):
        painter.draw_cells(capture(images), None, notes)
    assert ["0 is drawn black" in note for note in notes] == [True, False]
    assert "-1 is drawn black and 1 white. If that is wrong, say range=" in notes[1]
    for given in (1, (1, 0), "tanh", (0, 1, 2)):
        with pytest.raises(ValueError, match="range must"):
            read_range(given)


def test_a_ready_grid_is_cut_into_its_cells_with_the_gaps_of_make_grid() -> None:
    from torchvision.utils import make_grid

    six = np.concatenate([SHADES, SHADES[:2]])
    padded, plain = (make_grid(torch.from_numpy(six), nrow=3, padding=gap) for gap in (2, 0))
    drawn = draw(plain, rows=2, columns=3)
    assert np.array_equal(drawn, plain.permute(1, 2, 0).numpy())
    assert np.array_equal(draw(padded, rows=2, columns=3), drawn)
    assert np.array_equal(draw(Image.fromarray(padded.permute(1, 2, 0).numpy()), rows=2, columns=3), drawn)
    with pytest.raises(ValueError, match="cannot be cut into 3 rows"):
        draw(padded, rows=3, columns=5)


def test_a_ready_grid_of_another_shape_has_no_gaps_there_and_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.utils import make_grid

    cells = torch.rand(16, 3, 13, 13)
    cells[0, 0, 0, 0] = torch.nan
    grid = make_grid(cells, nrow=4)
    # 60 pixels are 5 times 12 and 3 times 20 as well as 4 times 15.
    as_bytes = (grid.nan_to_num() * 255).byte()
    pictures = [
        grid,
        grid.numpy(),
        grid.permute(1, 2, 0),
        as_bytes[0],
        Image.fromarray(as_bytes.permute(1, 2, 0).numpy()),
    ]
    for picture in pictures:
        assert draw(picture, rows=4, columns=4).shape[:2] == (52, 52)
        for gap in (None, 2):
            with pytest.raises(ValueError, match="cannot be cut into 5 rows and 3 columns"):
                draw(picture, rows=5, columns=3, padding=gap)
    known = set[tuple[int, ...]]()
    read_shape(capture(grid), 4, 4, None, known)
    monkeypatch.setattr(captures.Captured, "has_gaps", None)
    assert read_shape(capture(grid), 4, 4, None, known) == Shape(4, 4, 2)


def test_a_gap_that_is_said_is_taken() -> None:
    # 14 rows could be 2 cells of 7, or of 5 with gaps; only who made the grid knows.
    picture = np.zeros((14, 14), np.uint8)
    picture[2:6, 2:6] = 9
    assert draw(picture, rows=2, columns=2).shape == (14, 14)
    assert draw(picture, rows=2, columns=2, padding=2).shape == (8, 8)
    assert draw(picture, rows=2, columns=2, padding=2)[0, 0] == 9


@pytest.mark.parametrize(
    ("count", "shape"),
    [(1, (1, 1)), (2, (1, 2)), (7, (3, 3)), (10, (2, 5)), (32, (4, 8)), (64, (8, 8)), (100, (10, 10))],
)
def test_grids_have_full_rows_where_they_can(count: int, shape: tuple[int, int]) -> None:
    assert choose_shape(count) == shape


def test_shapes_that_do_not_fit_are_refused() -> None:
    captured = capture(SHADES)
    assert read_shape(captured, None, 1, None) == Shape(4, 1)
    for given, said in (((1, 2, None), "do not fit into 1 × 2"), ((2, 2, 2), "padding belongs to one picture")):
        with pytest.raises(ValueError, match=said):
            read_shape(captured, *given)
    with pytest.raises(TypeError, match="rows must be a whole number"):
        read_shape(captured, 0, 2, None)


@pytest.mark.parametrize(
    ("images", "error", "said"),
    [
        (np.zeros((2, 2, 5, 5)), ValueError, "shape 2 × 2 × 5 × 5 cannot be drawn"),
        (np.zeros((0, 1, 5, 5)), ValueError, "cannot be drawn"),
        (np.zeros(5), ValueError, "cannot be drawn"),
        (torch.zeros(2, 1, 1, 5000), ValueError, "too many or too large"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.complex64), TypeError, "must hold floats"),
        ("grid.png", TypeError, "must be a tensor, an array, a PIL image"),
        ([], ValueError, "at least one picture"),
        ([np.zeros((1, 2, 2)), np.zeros((1, 3, 3))], ValueError, "must have one size"),
        ([Image.new("L", (2, 2)), Image.new("L", (3, 2))], ValueError, "must have one size"),
        ([1, 2], TypeError, "must hold tensors, arrays or PIL images"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_the_loop(images: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        capture(images)


@pytest.mark.parametrize(
    ("shape", "said"),
    [((16, 784), "reshape(16, 1, 28, 28)"), ((4, 3072), "(4, 3, 32, 32)"), ((9, 1, 64), "(9, 1, 8")],
)
def test_flat_pictures_of_an_mlp_are_refused_with_their_shape(shape: tuple[int, ...], said: str) -> None:
    flat = capture(np.zeros(shape, np.float32))
    for rows, columns in ((None, None), (1, shape[0])):
        with pytest.raises(ValueError, match=re.escape(said)):
            read_shape(flat, rows, columns, None)
    # One picture of this shape, as the message says, and others that are no batch.
    for picture in (np.zeros((1, 16, 784)), np.zeros((16, 780)), np.zeros((64, 64))):
        assert read_shape(capture(picture), None, None, None) == Shape(1, 1)


def test_a_captured_picture_does_not_change_with_the_loops() -> None:
    for images in (torch.zeros(1, 1, 2, 2), np.zeros((1, 1, 2, 2))):
        captured = capture(images)
        images += 1
        assert captured.draw().cells.content == bytes(4)


def test_memory_of_copies_is_used_again_only_when_they_are_drawn() -> None:
    for ones in (torch.ones(1, 1, 2, 3), np.ones((1, 1, 2, 3), np.float32)):
        first, second = capture(ones * 0), capture(ones)
        assert first.draw(said=(0, 1)).cells.content == bytes(6)
        third = capture(ones * 0.2)
        assert second.draw(said=(0, 1)).cells.content == b"\xff" * 6
        assert third.draw(said=(0, 1)).cells.content == bytes([51]) * 6


def test_a_grid_that_no_service_takes_is_kept_in_part_and_says_so() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (16, 512, 512, 3), np.uint8)
    sheet = Painter().draw_sheet(capture(noise), None, Shape(4, 4))
    assert sheet.notes == ["The grid of 4 × 4 cells is too large for one picture: 2 × 4 of them are kept."]
    first = decode_png(sheet.png).content[: 512 * 3]
    assert (first, len(sheet.png) < 8 * 1024 * 1024) == (noise[0, 0].tobytes(), True)
    large = np.zeros((36, 1, 1024, 1024), np.uint8)
    large[0, 0, 0, 0] = 1
    sheet = Painter().draw_sheet(capture(large), None, Shape(6, 6))
    assert sheet.rows * sheet.columns * 1024 * 1024 <= 16_000_000
    assert sheet.notes == [
        f"The grid of 6 × 6 cells is too large for one picture: {sheet.rows} × {sheet.columns} of them are kept."
    ]


def test_without_numpy_grids_and_png_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = Cells(3, 4, 5, 3, bytes(np.random.default_rng(1).integers(0, 256, 180, np.uint8)))
    grid = lay_out(cells, 2, 2)
    png = encode_png(grid)
    monkeypatch.delitem(sys.modules, "numpy")
    assert lay_out(cells, 2, 2) == grid
    assert encode_png(grid) == png
    assert cut(grid, 2, 2).pick([0, 1, 2]) == cells


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_is_read_as_it_was_written_and_by_pillow(channels: int) -> None:
    content = bytes(np.random.default_rng(channels).integers(0, 256, 3 * 5 * channels, np.uint8))
    png = encode_png(Cells(1, 3, 5, channels, content))
    assert decode_png(png) == Cells(1, 3, 5, channels, content)
    assert Image.open(io.BytesIO(png)).tobytes() == content


def test_a_png_of_others_is_refused() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(900, dtype=np.uint8).reshape(30, 30)).convert("P").save(buffer, "PNG")
    for content in (b"", b"\x89PNG\r\n\x1a\n", buffer.getvalue(), encode_png(Cells(1, 1, 1, 1, b"a"))[:45]):
        with pytest.raises(PngUnreadable):
            decode_png(content)
