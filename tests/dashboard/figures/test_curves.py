"""Curves, drawn and as a table."""

import csv
import io
import math
import re
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader

from api.curves.points import Points
from dashboard.figures.drawing.curves import DASHES, PLAYERS, choose_range, draw_curves, smooth, style_of, visible
from dashboard.figures.drawing.plans import FigureRefusal, Line, Page, Plan
from dashboard.figures.drawing.process import pack_line
from dashboard.figures.routes import defuse, write_table
from tests.support.figures import CURVE_FILES, HOSTILE, make_curves


def draw_here(plan: Plan, files: list[bytes] = CURVE_FILES) -> bytes:
    file = io.BytesIO()
    draw_curves(plan, files, file)
    return file.getvalue()


def shown_texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def read_table(*curves: tuple[str, str, str, Points]) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(write_table(curves)).decode())))


def test_svg_names_lines_axes_and_numbers_as_text() -> None:
    shown = shown_texts(draw_here(make_curves("svg")).decode())
    for text in ("first-light, Generator loss", "seed 2, Discriminator loss", "iteration", "Losses", "100"):
        assert text in shown, text


def test_metrics_of_two_groups_have_a_panel_each() -> None:
    lines = (Line(0, "loss/generator", 0), Line(0, "eval/fid", 1))
    plan = make_curves("svg", runs=("a",), lines=lines, metrics=("loss/generator", "eval/fid"))
    shown = shown_texts(draw_here(plan).decode())
    assert {"Generator loss", "Fid"} <= set(shown)
    assert shown.count("iteration") == 1


def test_pdf_holds_its_words() -> None:
    words = PdfReader(io.BytesIO(draw_here(make_curves("pdf")))).pages[0].extract_text()
    assert "first-light, Generator loss" in words
    assert "iteration" in words


def test_every_line_of_a_panel_differs_from_the_others_without_colour_too() -> None:
    one_run = make_curves(runs=("a",))
    names = [f"eval/{n}" for n in range(len(DASHES))]
    lines = [Line(0, name, 0) for name in names]
    dashes = [style_of(one_run, line, lines)["linestyle"] for line in lines]
    assert len(set(map(str, dashes))) == len(lines)
    plan = make_curves()
    styles = [tuple(map(str, style_of(plan, line, plan.lines).values())) for line in plan.lines]
    assert len(set(styles)) == len(plan.lines)
    twelve = make_curves(runs=tuple("abcdefghijkl"))
    runs = [Line(run, metric, 0) for run in range(12) for metric in ("loss/generator", "loss/discriminator")]
    assert len({tuple(map(str, style_of(twelve, line, runs).values())) for line in runs}) == 24


def test_the_players_of_one_run_keep_their_hues() -> None:
    plan = make_curves(runs=("a",))
    lines = [Line(0, name, 0) for name in PLAYERS]
    assert [style_of(plan, line, lines)["color"] for line in lines] == [colour for colour, _ in PLAYERS.values()]


@pytest.mark.parametrize(
    ("low", "high", "is_share", "axis"),
    [
        (0.9, 0.98, True, (0.0, 1.04)),
        # A share that is none, as a quotient of two may be.
        (0.9, 1.9, True, (0.0, 1.95)),
        (1.0, 1.00015, False, (0.0, 1.08 * 1.00015)),
        (-3.0, -3.0, False, (-3.24, 0.0)),
        (0.0, 0.0, False, (0.0, 1.0)),
        (1.0, 3.0, False, (0.0, 3.1)),
        (2.0, 3.0, False, (1.95, 3.05)),
        (-1.0, 3.0, False, (-1.2, 3.2)),
    ],
)
def test_axes_start_where_people_expect(
    low: float, high: float, is_share: bool, axis: tuple[float, float]
) -> None:
    assert choose_range(low, high, is_share) == pytest.approx(axis)


def test_smoothing_by_hand() -> None:
    values = np.array([1.0, 3.0, math.nan, 5.0, math.inf])
    smoothed = smooth(values, 0.5).tolist()
    # Weights ½ and ¼ of the first two add up to ¾, then ⅞ with a third.
    assert smoothed[:2] == [1.0, pytest.approx((1 * 0.25 + 3 * 0.5) / 0.75)]
    assert math.isnan(smoothed[2])
    assert smoothed[3] == pytest.approx((1 * 0.125 + 3 * 0.25 + 5 * 0.5) / 0.875)
    assert smoothed[4] == math.inf
    assert smooth(values, 0.0).tolist()[:2] == [1.0, 3.0]


def test_a_spike_among_100_000_points_is_drawn() -> None:
    values = [1.0] * 100_000
    values[54_321] = 7777.0
    files = [pack_line(Points(range(100_000), values))]
    plan = make_curves("svg", runs=("a",), lines=(Line(0, "loss/generator", 0),), metrics=("loss/generator",))
    svg = draw_here(plan, files).decode()
    assert "8,000" in shown_texts(svg) or "7,000" in shown_texts(svg)
    assert len(svg) < 2_000_000


@pytest.mark.parametrize(
    "values", [[1e308, -1e308, 1.0], [math.nan, 1.0, math.nan], [math.inf, 2.0, 3.0], [5.0] * 3]
)
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_any_value_can_be_drawn(values: list[float], scale: Any) -> None:
    plan = make_curves(
        "svg", runs=("a",), lines=(Line(0, "loss/generator", 0),), metrics=("loss/generator",), y_scale=scale
    )
    assert draw_here(plan, [pack_line(Points(range(3), values))]).startswith(b"<?xml")


def test_a_logarithmic_axis_without_positive_values_is_refused() -> None:
    plan = make_curves(
        "svg", runs=("a",), lines=(Line(0, "loss/generator", 0),), metrics=("loss/generator",), y_scale="log"
    )
    with pytest.raises(FigureRefusal, match="shows only what is above 0"):
        draw_here(plan, [pack_line(Points([1, 2], [-1.0, 0.0]))])
    assert visible(np.array([-1.0, 0.0, 2.0]), "log").tolist()[2] == 2.0


def test_the_same_curves_give_the_same_bytes() -> None:
    assert draw_here(make_curves("svg")) == draw_here(make_curves("svg"))
    assert draw_here(make_curves("png")) == draw_here(make_curves("png"))


def test_names_that_are_markup_are_shown_literally() -> None:
    plan = make_curves(
        "svg", runs=tuple(HOSTILE), lines=(Line(0, "loss/generator", 0), Line(2, "loss/generator", 1))
    )
    shown = shown_texts(draw_here(make_curves("svg", **{**plan.__dict__, "page": Page("svg", 200, 100)})).decode())
    assert HOSTILE[0] in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown


def test_table_has_every_point_with_every_digit() -> None:
    points = Points([1, 2, 10**9], [0.1 + 0.2, math.nan, -math.inf])
    rows = read_table(
        ("abc", "first-light", "loss/generator", points), ("d", "x, y", "eval/fid", Points([1], [3.0]))
    )
    assert rows == [
        ["run", "name", "metric", "iteration", "value"],
        ["abc", "first-light", "loss/generator", "1", "0.30000000000000004"],
        ["abc", "first-light", "loss/generator", "2", "nan"],
        ["abc", "first-light", "loss/generator", "1000000000", "-inf"],
        ["d", "x, y", "eval/fid", "1", "3.0"],
    ]


def test_a_long_table_comes_in_parts() -> None:
    points = Points(range(12_000), [1.0] * 12_000)
    parts = list(write_table([("a", "b", "c/d", points)]))
    assert len(parts) == 4
    assert b"".join(parts).count(b"\n") == 12_001


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\r=1", " =1"])
def test_a_spreadsheet_takes_no_name_for_a_formula(name: str) -> None:
    assert defuse(name) == f"'{name.strip()}"
    assert not defuse(f"a{name}").startswith("'")
    row = read_table(("abc", name, "loss/generator", Points([1], [-1.0])))[1]
    assert row[1].startswith("'")
    # A number stays a number.
    assert row[4] == "-1.0"
