"""Timelines beside each other, in each form of file."""

import base64
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from pypdf import PdfReader

from dashboard.figures.drawing.plans import Crop, FigureOversize, FigureRefusal, ImageForm, Page, Plan, TimelineRow
from dashboard.figures.drawing.timelines import LABEL_SIZES, draw_timelines, fit_labels, wrap_label
from tests.support.figures import ABOUT, GRID, HOSTILE, draw, make_grid, make_timelines, to_png

GRIDS = [make_grid(seed) for seed in range(5)]
FILES = [to_png(grid) for grid in GRIDS]


def draw_here(plan: Plan, files: Sequence[bytes] = FILES) -> bytes:
    """Draw in this process, which is quicker than one of its own."""
    file = io.BytesIO()
    draw_timelines(plan, files, file)
    return file.getvalue()


def find_enlarged(page: Image.Image, image: Image.Image) -> int | None:
    """Return by which whole factor the image stands enlarged somewhere on the page, or None."""
    pixels = page.convert("RGB")
    text = pixels.tobytes()
    for factor in range(30, 0, -1):
        large = image.convert("RGB").resize(
            (image.width * factor, image.height * factor), Image.Resampling.NEAREST
        )
        row = large.crop((0, 0, large.width, 1)).tobytes()
        at = text.find(row)
        while at >= 0:
            y, x = divmod(at // 3, pixels.width)
            if at % 3 == 0 and pixels.crop((x, y, x + large.width, y + large.height)).tobytes() == large.tobytes():
                return factor
            at = text.find(row, at + 1)
    return None


def svg_images(svg: str) -> list[Image.Image]:
    found = re.findall(r'xlink:href="data:image/png;base64,\s*([^"]+)"', svg)
    return [Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB") for data in found]


def test_png_shows_every_pixel_of_a_grid_as_a_square_of_the_same_size() -> None:
    page = Image.open(io.BytesIO(draw_here(make_timelines())))
    factors = {find_enlarged(page, grid) for grid in GRIDS}
    assert len(factors) == 1
    assert None not in factors
    # 120 mm with a label at its left: a column of some 32 mm has about 190 dots at 150 dpi.
    assert factors.pop() in range(20, 30)
    blurred = GRIDS[0].resize((80, 150), Image.Resampling.BILINEAR)
    assert find_enlarged(page, blurred) is None


def test_png_has_at_least_the_asked_resolution_and_the_asked_width() -> None:
    page = Image.open(io.BytesIO(draw_here(make_timelines())))
    dpi = page.info["dpi"][0]
    assert dpi >= 149
    assert page.width / dpi * 25.4 == pytest.approx(120, rel=0.02)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_svg_holds_the_grids_as_they_were_stored_and_text_as_text(mode: str) -> None:
    grids = [make_grid(seed, GRID, mode) for seed in range(5)]
    svg = draw_here(make_timelines("svg"), [to_png(grid) for grid in grids]).decode()
    stored = [image.tobytes() for image in svg_images(svg)]
    assert sorted(stored) == sorted(grid.convert("RGB").tobytes() for grid in grids)
    assert svg.count("image-rendering:pixelated") == 5
    shown = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert shown == ["iteration", "100", "200", "300", "first-light", "seed 2", "–", "at 250"]


def test_pdf_holds_the_grids_as_they_were_stored_and_text_as_text() -> None:
    reader = PdfReader(io.BytesIO(draw_here(make_timelines("pdf"))))
    (page,) = reader.pages
    # A PDF may hold an image upside down, and turns it around where it is placed.
    upside_down = Image.Transpose.FLIP_TOP_BOTTOM
    stored = [image.image.convert("RGB").transpose(upside_down).tobytes() for image in page.images if image.image]
    assert sorted(stored) == sorted(grid.convert("RGB").tobytes() for grid in GRIDS)
    words = page.extract_text().split()
    assert set(words) >= {"100", "200", "300", "first-light", "seed", "2", "250"}
    assert float(page.mediabox.width) / 72 * 25.4 == pytest.approx(120, abs=0.1)


def test_first_cells_alone_are_shown_where_a_crop_is_asked_for() -> None:
    crop = Crop(cells=((0, 0), (2, 1)), columns=2)
    svg = draw_here(make_timelines("svg", crop=crop)).decode()
    first = GRIDS[0].convert("RGB")
    expected = Image.new("RGB", (8, 5))
    expected.paste(first.crop((0, 0, 4, 5)), (0, 0))
    expected.paste(first.crop((4, 10, 8, 15)), (4, 0))
    images = svg_images(svg)
    assert {image.size for image in images} == {(8, 5)}
    assert expected.tobytes() in [image.tobytes() for image in images]


@pytest.mark.executed
@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_the_same_figure_gives_the_same_bytes_in_every_process(form: ImageForm, tmp_path: Path) -> None:
    first, second = (draw(make_timelines(form), FILES, tmp_path) for _ in range(2))
    assert first == second


def test_each_form_says_what_it_shows() -> None:
    png = Image.open(io.BytesIO(draw_here(make_timelines("png"))))
    assert json.loads(png.info["Description"]) == {"runs": ["abc"]}
    assert png.info["Software"] == ABOUT.software
    pdf = PdfReader(io.BytesIO(draw_here(make_timelines("pdf")))).metadata
    assert pdf is not None
    assert (pdf.subject, pdf.title, pdf.creation_date) == (ABOUT.description, ABOUT.title, None)
    svg = draw_here(make_timelines("svg")).decode()
    assert "<dc:description>{&quot;runs" in svg or '<dc:description>{"runs": ["abc"]}' in svg
    assert "<dc:date>" not in svg


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_are_markup_are_shown_literally(name: str) -> None:
    rows = tuple(replace(row, label=name) for row in make_timelines().rows)
    plan = make_timelines("svg", rows=rows, page=Page("svg", 400, 300))
    svg = draw_here(plan).decode()
    escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f">{escaped}</text>" in svg
    assert "<script" not in svg
    pdf = draw_here(replace(plan, page=Page("pdf", 400, 300)))
    assert name in PdfReader(io.BytesIO(pdf)).pages[0].extract_text()
    assert draw_here(replace(plan, page=Page("png", 100, 100)))


def test_letters_that_no_file_can_hold_are_left_out() -> None:
    assert wrap_label("a\0b\x1b[31m\u202ec\ud800\tbc\r\n", 170) == "a b [31m c bc"
    assert wrap_label("", 170) == ""


def test_too_many_columns_for_the_page_are_refused() -> None:
    shots = tuple(make_timelines().rows[0].shots[:1]) * 16
    plan = make_timelines(iterations=tuple(range(16)), rows=(TimelineRow("x", shots),), page=Page("png", 30, 100))
    with pytest.raises(FigureOversize, match="16 columns do not fit a width of 30 mm"):
        draw_here(plan)


def test_a_png_of_too_many_pixels_is_refused() -> None:
    with pytest.raises(FigureOversize, match="at most 60,000,000 are drawn"):
        draw_here(make_timelines(page=Page("png", 420, 1200)))


def test_a_damaged_grid_is_named() -> None:
    with pytest.raises(FigureRefusal, match="grid of iteration 200 is damaged"):
        draw_here(make_timelines(), [FILES[0], FILES[1][:60], *FILES[2:]])


def test_long_labels_are_smaller_before_their_words_are_broken() -> None:
    labels = ["discriminator least_squares\ngenerator least_squares", "discriminator minimax\ngenerator minimax"]
    assert fit_labels(labels, 170) == LABEL_SIZES[0]
    assert fit_labels(labels, 85) == 6.0
    words = [word for label in labels for word in wrap_label(label, 85, 6.0).split()]
    assert set(words) == {"discriminator", "least_squares", "generator", "minimax"}
    # At the usual size the longest would be in two.
    assert "least_squares" not in wrap_label(labels[0], 85).split()
    assert fit_labels(["a" * 200], 85) == LABEL_SIZES[-1]


def test_a_row_is_at_least_as_high_as_its_label() -> None:
    plan = make_timelines(page=Page("png", 60, 150))
    rows = tuple(replace(row, label="\n".join(["label"] * 12)) for row in plan.rows)
    lines_of_both_rows = 2 * 12 * LABEL_SIZES[0] * 1.25
    for wanted, is_high in ((plan.rows, False), (rows, True)):
        image = Image.open(io.BytesIO(draw_here(replace(plan, rows=wanted))))
        assert (image.height * 72 / image.info["dpi"][1] > lines_of_both_rows) == is_high
