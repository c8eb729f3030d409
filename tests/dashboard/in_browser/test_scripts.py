"""Scripts and server write and place things alike."""

import json

import pytest

from dashboard.charts.chart import describe_beyond, usual_range
from dashboard.charts.references import Reference, reach_references
from dashboard.timeline.sheet_layout import spread
from dashboard.timeline.view import nearest_index
from dashboard.web import formats
from tests.support.browser import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("shares_service")]


NUMBERS = [
    0,
    1,
    -1,
    0.1,
    0.02134,
    1.38629,
    9.996,
    12.345,
    123.456,
    999.7,
    1204.4,
    999_999,
    1e6,
    3.14e-5,
    -2.5,
    2.5e12,
]
TICKS = [0, 0.05, 3 * 0.1, -0.5, 2.5, -400_000, 411_872, -10_200_000, 2e9, 2.5e12, 5e-05, 1.5e-07]
SECONDS = [0, 0.4, 0.5, 42, 59.6, 60, 185, 3599, 3600, 8000, 86_399, 86_400, 273_000]


def test_scripts_write_numbers_as_the_server_does(open_page: OpenPage) -> None:
    page = open_page("/")
    shown = page.evaluate(
        """async ([numbers, seconds, ticks]) => {
          const base = document.querySelector("script[type=module]").src;
          const format = await import(new URL("format.js", base));
          const { showCount, showDuration, showNumber, showPercent, showTick, readValue } = format;
          return {
            number: numbers.map((value) => showNumber(value)),
            tick: ticks.map(showTick),
            words: ["nan", "inf", "-inf"].map((word) => showNumber(readValue(word))).concat(showNumber(undefined)),
            duration: seconds.map(showDuration).concat(showDuration(null)),
            count: [0, 999, 1000, 1234567].map(showCount),
            percent: [0, 0.414, 0.999, 1].map(showPercent),
          };
        }""",
        [NUMBERS, SECONDS, TICKS],
    )
    nan, inf = float("nan"), float("inf")
    assert shown == {
        "number": [formats.show_number(value) for value in NUMBERS],
        "tick": [formats.show_tick(value) for value in TICKS],
        "words": [formats.show_number(value) for value in (nan, inf, -inf, None)],
        "duration": [formats.show_duration(value) for value in (*SECONDS, None)],
        "count": [formats.show_count(value) for value in (0, 999, 1000, 1_234_567)],
        "percent": [formats.show_percent(value) for value in (0, 0.414, 0.999, 1)],
    }


VALUES = [
    [],
    [1.0],
    [0.0, 0.0],
    [1.0, 1.1, 0.9, 1.2, 18.2],
    [5.0, 5.1, 5.2, 5.05, -9.0],
    [1.0, 1.00015],
    [-3.0, -2.0, -1.0, 0.5],
]
REALS = [[], [0.0], [9.76], [1.0, -2.5]]
TIMELINES = [(1, 24), (24, 24), (25, 24), (40, 24), (1000, 24), (57, 16)]


def test_scripts_place_axis_and_frames_as_the_server_does(open_page: OpenPage) -> None:
    page = open_page("/")
    iterations = [100, 200, 400]
    wanted = [0, 149, 150, 151, 299, 301, 9999]
    shown = page.evaluate(
        """async ([values, timelines, iterations, wanted, reals]) => {
          const base = document.querySelector("script[type=module]").src;
          const scales = await import(new URL("../../charts/scripts/scales.js", base));
          const { describeBeyond, reachReals, usualRange } = scales;
          const { spread, nearestFrame } = await import(new URL("../../timeline/scripts/frames.js", base));
          const frames = iterations.map((iteration) => ({ iteration }));
          return [
            values.map(usualRange),
            [false, true].map((thin) => values.map((each) => describeBeyond(each, ...usualRange(each), thin))),
            timelines.map(([count, most]) => spread(count, most)),
            wanted.map((iteration) => nearestFrame(frames, iteration)),
            reals.map((real) => reachReals([0.5, 2], real)),
          ];
        }""",
        [VALUES, TIMELINES, iterations, wanted, REALS],
    )
    ranges, beyond, strips, nearest, reached = json.loads(json.dumps(shown))
    assert ranges == [pytest.approx(usual_range(values)) for values in VALUES]
    for said, is_thinned in zip(beyond, (False, True), strict=True):
        assert said == [describe_beyond(each, *usual_range(each), is_thinned=is_thinned) for each in VALUES]
    assert strips == [spread(*timeline) for timeline in TIMELINES]
    assert nearest == [nearest_index(iterations, each) for each in wanted]
    lines = [[Reference(value, "") for value in reals] for reals in REALS]
    assert reached == [pytest.approx(reach_references((0.5, 2.0), each)) for each in lines]
