"""Plans and grids for tests of figures: every cell has a shade or colour of its own."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from api.curves.points import Points
from dashboard.figures.drawing.plans import (
    About,
    CurvesPlan,
    Grid,
    ImageForm,
    Line,
    MovieForm,
    MoviePlan,
    Page,
    Plan,
    Shot,
    TimelineRow,
    TimelinesPlan,
)
from dashboard.figures.drawing.process import draw_figure, pack_line

GRID = Grid(rows=3, columns=2, cell_width=4, cell_height=5)
ABOUT = About("Timelines", '{"runs": ["abc"]}', "Ganvas 0")
HOSTILE = [r"$\frac{1}{2}$ costs $5", r"\LaTeX{} \input{x}", "<script>alert(1)</script>", "a&b]]>", "100%_{x}^y"]


def make_grid(seed: int, grid: Grid = GRID, mode: str = "L") -> Image.Image:
    """A grid whose pixels all differ from their neighbours."""
    image = Image.new(mode, (grid.columns * grid.cell_width, grid.rows * grid.cell_height))
    for y in range(image.height):
        for x in range(image.width):
            shade = (seed * 41 + x * 37 + y * 101) % 256
            image.putpixel((x, y), shade if mode == "L" else (shade, (shade * 3 + seed) % 256, 255 - shade))
    return image


def to_png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def make_timelines(form: ImageForm = "png", **changes: Any) -> TimelinesPlan:
    """Two runs, three iterations; the second run has its first grid late and none at the last iteration."""
    rows = (
        TimelineRow("first-light", tuple(Shot(i, GRID, n) for n, i in enumerate((100, 200, 300)))),
        TimelineRow("seed 2", (None, Shot(200, GRID, 3), Shot(250, GRID, 4))),
    )
    plan: dict[str, Any] = {
        "page": Page(form, 120, 150), "about": ABOUT, "iterations": (100, 200, 300), "rows": rows, "crop": None
    }  # fmt: skip
    return TimelinesPlan(**plan | changes)


def make_curves(form: ImageForm = "png", **changes: Any) -> CurvesPlan:
    lines = tuple(Line(run, metric, n) for n, (run, metric) in enumerate(ALL_LINES))
    plan: dict[str, Any] = {
        "page": Page(form, 120, 100), "about": ABOUT, "runs": ("first-light", "seed 2"), "lines": lines,
        "metrics": ("loss/generator", "loss/discriminator"), "smoothing": 0.0, "x_scale": "linear",
        "y_scale": "linear",
    }  # fmt: skip
    return CurvesPlan(**plan | changes)


ALL_LINES = [(run, metric) for run in (0, 1) for metric in ("loss/generator", "loss/discriminator")]
CURVE_FILES = [
    pack_line(Points(range(1, 101), [n + 1 + 1 / i for i in range(1, 101)])) for n in range(len(ALL_LINES))
]


def make_movie(form: MovieForm, count: int = 5, **changes: Any) -> MoviePlan:
    shots = tuple(Shot(100 * n, GRID, n) for n in range(count))
    plan: dict[str, Any] = {
        "form": form, "about": ABOUT, "shots": shots, "crop": None, "fps": 10.0, "side": 64, "is_labelled": False
    }  # fmt: skip
    return MoviePlan(**plan | changes)


def draw(plan: Plan, files: list[bytes], tmp_path: Path) -> bytes:
    """Draw as the service does, in a process of its own."""
    with draw_figure(plan, files, tmp_path / "fonts") as drawn:
        return drawn.read()
