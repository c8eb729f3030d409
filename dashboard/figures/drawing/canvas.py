"""Matplotlib for all figures: its object interface alone, text that is never markup, and reproducible files.

The same figure gives the same bytes: no times, fixed names inside, and one hash seed (see `process`).
"""

import io
import unicodedata
import warnings
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from dashboard.figures.drawing.plans import MAX_IMAGE_PIXELS, About, FigureOversize, Page

POINTS_PER_MM = 72 / 25.4
MAX_TEXT = 120
SETTINGS: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    # Text stays text, in an SVG as in a PDF.
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "ganvas",
    "path.simplify": False,
    # Dollars and backslashes in a name are shown as they are.
    "text.usetex": False,
    "text.parse_math": False,
    "axes.unicode_minus": True,
}
_PARAMETERS: MutableMapping[str, Any] = cast(MutableMapping[str, Any], matplotlib.rcParams)
_CANVASES = {"png": FigureCanvasAgg, "svg": FigureCanvasSVG, "pdf": FigureCanvasPdf}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with these settings instead of the machine's own, without warnings for letters that the font lacks."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        _PARAMETERS.update(SETTINGS)
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield


def make_figure(page: Page, width: float, height: float, dots_per_inch: float) -> Figure:
    """Return an empty white figure of width × height dots; raises FigureOversize."""
    if page.form == "png" and width * height > MAX_IMAGE_PIXELS:
        raise FigureOversize(
            f"The PNG would have {width:,.0f} × {height:,.0f} pixels; at most {MAX_IMAGE_PIXELS:,} are drawn. "
            "Ask for a lower dpi, fewer iterations or fewer cells, or for a PDF."
        )
    # A little more than whole dots, so that rounding loses none.
    size = ((width + 0.001) / dots_per_inch, (height + 0.001) / dots_per_inch)
    figure = Figure(figsize=size, dpi=dots_per_inch, facecolor="white")
    _CANVASES[page.form](figure)
    return figure


def save_figure(figure: Figure, page: Page, about: About, file: BinaryIO) -> None:
    """Write the figure with its metadata."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format=page.form, dpi=figure.dpi, facecolor="white", metadata=_metadata(page, about))
    file.write(drawn.getvalue())


def _metadata(page: Page, about: About) -> dict[str, str | None]:
    match page.form:
        case "png":
            return {"Title": about.title, "Description": about.description, "Software": about.software}
        case "pdf":
            return {
                "Title": about.title,
                "Subject": about.description,
                "Creator": about.software,
                "CreationDate": None,
            }
        case "svg":
            return {
                "Title": about.title,
                "Description": about.description,
                "Creator": about.software,
                "Date": None,
            }


def text_width(texts: Sequence[str], size: float) -> float:
    """Return the width of the widest of these texts in points; 0 without any."""
    figure = Figure(dpi=72)
    FigureCanvasAgg(figure)
    drawn = [figure.text(0, 0, text, size=size) for text in texts if text]
    return max((text.get_window_extent().width for text in drawn), default=0.0)


def clean_text(text: str) -> str:
    """Return the text without characters that no file format can hold or that turn the line around, cut short."""
    kept = "".join(" " if unicodedata.category(letter) in _CONTROLS else letter for letter in text)
    words = " ".join(kept.split())
    return words if len(words) <= MAX_TEXT else f"{words[: MAX_TEXT - 1]}…"


# Control characters, formatting ones (which reverse a line), surrogates and those that mean nothing.
_CONTROLS = ("Cc", "Cf", "Cs", "Co", "Cn")
