"""Movies, opened again: frame by frame, pixel by pixel."""

import io
import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from dashboard.figures.drawing.movies import write_movie
from dashboard.figures.drawing.plans import Crop, FigureOversize, MovieForm, MoviePlan, Shot
from tests.support.figures import ABOUT, GRID, draw, make_grid, make_movie, to_png

COUNT = 5
GREYS = [make_grid(seed) for seed in range(COUNT)]
COLOURS = [make_grid(seed, GRID, "RGB") for seed in range(COUNT)]
SCALE = 4


def write_here(plan: MoviePlan, grids: list[Image.Image]) -> bytes:
    file = io.BytesIO()
    write_movie(plan, [to_png(grid) for grid in grids], file)
    return file.getvalue()


def read_frames(data: bytes) -> list[Image.Image]:
    return [frame.convert("RGB") for frame in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]


def decode_video(data: bytes) -> list[Image.Image]:
    with av.open(io.BytesIO(data)) as container:
        return [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def enlarged(grid: Image.Image) -> Image.Image:
    size = (grid.width * SCALE, grid.height * SCALE)
    return grid.convert("RGB").resize(size, Image.Resampling.NEAREST)


@pytest.mark.parametrize("form", ["gif", "png"])
@pytest.mark.parametrize("grids", [GREYS, COLOURS], ids=["grey", "colour"])
def test_every_frame_shows_its_grid_exactly(form: MovieForm, grids: list[Image.Image]) -> None:
    frames = read_frames(write_here(make_movie(form), grids))
    assert [frame.tobytes() for frame in frames] == [enlarged(grid).tobytes() for grid in grids]


@pytest.mark.parametrize("form", ["gif", "png"])
def test_an_animation_plays_at_its_speed_again_and_again(form: MovieForm) -> None:
    image = Image.open(io.BytesIO(write_here(make_movie(form, fps=8.0), GREYS)))
    assert image.n_frames == COUNT  # type: ignore[attr-defined]
    durations = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
    # A GIF counts in hundredths: two frames of an eighth of a second are 12 and 13 of them.
    assert sum(durations[:4]) == pytest.approx(500, abs=5)
    assert image.info["loop"] == 0


@pytest.mark.parametrize("grids", [GREYS, COLOURS], ids=["grey", "colour"])
def test_a_video_has_every_frame_in_even_size_and_colours_that_slides_show(grids: list[Image.Image]) -> None:
    # 8 × 15 pixels three times as large: 24 × 45, whose height is odd.
    data = write_here(make_movie("mp4", side=45), grids)
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, stream.average_rate) == (24, 46, 10)
        assert (container.metadata["title"], container.metadata["comment"]) == (ABOUT.title, ABOUT.description)
    frames = decode_video(data)
    assert len(frames) == COUNT
    for frame, grid in zip(frames, grids, strict=True):
        shown = np.asarray(frame.crop((0, 0, 24, 45)).convert("L"), float)
        wanted = np.asarray(grid.convert("RGB").resize((24, 45), Image.Resampling.NEAREST).convert("L"), float)
        assert np.abs(shown - wanted).mean() < 12


def test_the_index_of_a_video_stands_in_front() -> None:
    data = write_here(make_movie("mp4"), GREYS)
    assert 0 < data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("form", ["gif", "png", "mp4"])
def test_the_caption_is_on_a_strip_below_the_cells(form: MovieForm) -> None:
    data = write_here(make_movie(form, is_labelled=True), GREYS)
    first, last = (decode_video(data) if form == "mp4" else read_frames(data))[:: COUNT - 1]
    below = (0, 60, 32, first.height)
    assert first.height > 60
    assert first.crop(below).tobytes() != last.crop(below).tobytes()
    if form != "mp4":
        assert first.crop((0, 0, 32, 60)).tobytes() == enlarged(GREYS[0]).tobytes()


def test_first_cells_alone_are_shown_where_a_crop_is_asked_for() -> None:
    frames = read_frames(write_here(make_movie("gif", crop=Crop(((2, 1),), 1), side=20), GREYS))
    cell = GREYS[0].convert("RGB").crop((4, 10, 8, 15))
    assert frames[0].tobytes() == cell.resize((16, 20), Image.Resampling.NEAREST).tobytes()


def test_a_gif_chooses_its_colours_where_there_are_too_many() -> None:
    random = np.random.default_rng(1)
    noise = Image.fromarray(random.integers(0, 256, (15, 8, 3), dtype=np.uint8))
    smooth = noise.resize((80, 150), Image.Resampling.BICUBIC)
    grid = GRID.__class__(3, 2, 40, 50)
    plan = make_movie("gif", shots=(Shot(1, grid, 0),), side=150)
    (frame,) = read_frames(write_here(plan, [smooth]))
    difference = np.abs(np.asarray(frame, float) - np.asarray(smooth, float))
    assert difference.mean() < 10


@pytest.mark.parametrize("form", ["gif", "png", "mp4"])
def test_the_same_movie_gives_the_same_bytes(form: MovieForm) -> None:
    plan = make_movie(form, is_labelled=True)
    assert write_here(plan, GREYS) == write_here(plan, GREYS)


def test_a_movie_says_what_it_shows() -> None:
    gif = Image.open(io.BytesIO(write_here(make_movie("gif"), GREYS)))
    assert json.loads(gif.info["comment"]) == {"runs": ["abc"]}
    png = Image.open(io.BytesIO(write_here(make_movie("png"), GREYS)))
    assert png.info["Title"] == ABOUT.title


def test_a_movie_of_too_many_pixels_is_refused() -> None:
    with pytest.raises(FigureOversize, match="1,000 frames of 768 × 1440 pixels are more than are drawn"):
        write_here(make_movie("gif", count=1000, side=1440), GREYS * 200)


def test_a_thousand_grids_make_a_movie_in_a_process_of_its_own(tmp_path: Path) -> None:
    files = [to_png(grid) for grid in GREYS]
    shots = tuple(Shot(number, GRID, number % COUNT) for number in range(1000))
    data = draw(make_movie("gif", shots=shots, is_labelled=True), files, tmp_path)
    assert Image.open(io.BytesIO(data)).n_frames == 1000  # type: ignore[attr-defined]
