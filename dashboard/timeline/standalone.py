"""A page as one file that opens from a disk: style, script, data and images are inside, and it loads nothing."""

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response
from markupsafe import Markup
from sqlalchemy.orm import Session

from api import find_version
from api.artifacts.queries import read_sizes
from api.artifacts.storage import Blobs
from api.curves.schemas import Curve
from api.samples.queries import GridRow
from api.server.http.bodies import refuse_request
from dashboard.timeline.sheet_layout import choose
from dashboard.timeline.view import enlargement
from dashboard.web.formats import show_bytes, show_count, show_moment, write_disposition
from dashboard.web.rendering import Site

DEFAULT_BYTES, LEAST_BYTES, MOST_BYTES = 10_000_000, 100_000, 200_000_000
MaxSize = Annotated[
    int,
    Query(ge=LEAST_BYTES, le=MOST_BYTES, description="Bytes of the file at most; grids are left out above it."),
]
SCRIPT = "timeline/scripts/standalone.js"
STYLES = ("static/core/style.css", "charts/style.css", "timeline/style.css", "timeline/standalone.css")
PNG = "data:image/png;base64,"
# Quotes, commas and the iteration of a grid in the file's data.
_BESIDE_IMAGE = 24
# Fonts are files of the service: a file that stands alone uses those of its reader.
_FONT = re.compile(r"@font-face \{[^}]*\}\n*")
_COMMENT = re.compile(r"/\*.*?\*/\n?", re.S)


@dataclass(frozen=True)
class EmbeddedTimeline:
    """A timeline inside the file: its newest grid as an address of data (empty without grids), and its size."""

    newest: str
    label: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class Standalone:
    """The file around a page's own content.

    policy: allows this very script and style, images inside the file, and nothing else. timelines_json,
    curves_json: what the script moves. note: says how many grids were left out, or is empty.
    """

    title: str
    content: Any
    policy: str
    style: Markup
    script: Markup
    timelines: Sequence[EmbeddedTimeline]
    timelines_json: Markup
    curves_json: Markup
    note: str
    has_player: bool
    made: str


@dataclass(frozen=True)
class PageFile:
    """The file, and what it leaves out, in words or empty."""

    html: bytes
    left_out: str


@dataclass(frozen=True)
class FileParts:
    """What a file is made of: template and content, timelines, the curves of each chart, further styles."""

    title: str
    template: str
    content: Any
    timelines: Sequence[Sequence[GridRow]]
    charts: Sequence[Sequence[Curve | None]]
    styles: Sequence[str]


def read_grid_sizes(session: Session, timelines: Iterable[Sequence[GridRow]]) -> dict[str, int]:
    """Return the stored sizes of these grids' files in bytes, by sha256."""
    return read_sizes(session, [grid.sha256 for timeline in timelines for grid in timeline])


def build_file(
    site: Site, blobs: Blobs, parts: FileParts, sizes: dict[str, int], max_bytes: int, now: datetime
) -> PageFile:
    """Return the file, no longer than `max_bytes`: with so many grids as fit, evenly spread.

    Raises RequestInvalid where it would be longer without a grid.
    """
    budget, empty = max_bytes, [()] * len(parts.timelines)
    without = _render(site, blobs, parts, empty, now)
    if len(without) > max_bytes:
        message = f"without its images the file has {show_bytes(len(without))} already; allow more"
        raise refuse_request([{"field": "query.max_size", "given": str(max_bytes), "message": message}])
    while True:
        kept = thin(parts.timelines, sizes, budget - len(without))
        html = _render(site, blobs, parts, kept, now)
        if len(html) <= max_bytes:
            return PageFile(html, _count_kept(parts.timelines, kept))
        budget -= len(html) - max_bytes


def thin(
    timelines: Sequence[Sequence[GridRow]], sizes: dict[str, int], most_bytes: int
) -> list[Sequence[GridRow]]:
    """Return as many grids of each timeline as fit together, evenly spread, the first and the last among them."""

    def keep(most: int) -> list[Sequence[GridRow]]:
        if most < 2:
            return [timeline[-1:] if most else [] for timeline in timelines]
        return [choose(timeline, most) for timeline in timelines]

    def fits(most: int) -> bool:
        return sum(_inside(sizes.get(grid.sha256, 0)) for kept in keep(most) for grid in kept) <= most_bytes

    low, high = 0, max((len(timeline) for timeline in timelines), default=0)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return keep(low)


def _inside(size: int) -> int:
    """Return how many bytes a file of so many takes inside: base64 writes three bytes as four characters."""
    return 4 * -(-size // 3) + _BESIDE_IMAGE


def _render(site: Site, blobs: Blobs, parts: FileParts, kept: Sequence[Sequence[GridRow]], now: datetime) -> bytes:
    embedded = [_embed(blobs, grids) for grids in kept]
    style = "".join(_FONT.sub("", site.static.read_text(name)) for name in (*STYLES, *parts.styles))
    style, script = _COMMENT.sub("", style), site.static.read_text(SCRIPT)
    page = Standalone(
        title=parts.title,
        content=parts.content,
        policy=_write_policy(style, script),
        style=Markup(style),  # noqa: S704  # our own files
        script=Markup(script),  # noqa: S704  # our own file
        timelines=[view for view, _ in embedded],
        timelines_json=_write_json([data for _, data in embedded]),
        curves_json=_write_json([[_columns(curve) for curve in chart] for chart in parts.charts]),
        note=_describe_thinning(parts.timelines, kept),
        has_player=len({grid.iteration for grids in kept for grid in grids}) > 1,
        made=f"Ganvas {find_version()}, {show_moment(now)}",
    )
    return site.renderer.render_file(parts.template, page)


def _embed(blobs: Blobs, grids: Sequence[GridRow]) -> tuple[EmbeddedTimeline, dict[str, list[Any]]]:
    """Return the newest of these grids as it stands in the page, and the others as data for the script."""
    read = [(grid, _read_base64(blobs, grid.sha256)) for grid in grids]
    whole = [(grid, image) for grid, image in read if image]
    if not whole:
        return EmbeddedTimeline("", "", "", 0, 0), {"iterations": [], "images": []}
    newest, image = whole[-1]
    scale, label = enlargement(newest), show_count(newest.iteration)
    view = EmbeddedTimeline(
        newest=PNG + image,
        label=label,
        alt=f"{newest.rows} × {newest.columns} generated images at iteration {label}",
        width=newest.width * scale,
        height=newest.height * scale,
    )
    # The newest one stands in the page itself, for readers without scripts.
    images = [image for _, image in whole[:-1]] + [""]
    return view, {"iterations": [grid.iteration for grid, _ in whole], "images": images}


def _read_base64(blobs: Blobs, sha256: str) -> str:
    try:
        with blobs.open(sha256) as file:
            return base64.b64encode(file.read()).decode()
    except FileNotFoundError:
        return ""


def _columns(curve: Curve | None) -> dict[str, list[Any]]:
    """Return the points as a chart's script reads them; what is no finite number is null."""
    if curve is None:
        return {"iterations": [], "values": []}
    values = [float(f"{value:.6g}") if math.isfinite(value) else None for value in curve.values]
    return {"iterations": list(curve.iterations), "values": values}


def _write_json(data: Any) -> Markup:
    """Return JSON that no element of a page can end."""
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return Markup(text)  # noqa: S704  # escaped for a script element above


def _write_policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _describe_thinning(timelines: Sequence[Sequence[GridRow]], kept: Sequence[Sequence[GridRow]]) -> str:
    counted = _count_kept(timelines, kept)
    if not counted:
        return ""
    return f"This file holds {counted}, so that it is no larger than it was asked to be; Ganvas has them all."


def _count_kept(timelines: Sequence[Sequence[GridRow]], kept: Sequence[Sequence[GridRow]]) -> str:
    """Return how many of the grids are in the file, empty for all."""
    total, inside = sum(map(len, timelines)), sum(map(len, kept))
    return f"{show_count(inside)} of {show_count(total)} sample grids, evenly spread" if inside < total else ""


def send_file(file: PageFile, name: str) -> Response:
    """Return the file as an answer that is saved, not shown."""
    headers = {"content-disposition": write_disposition(name, "html"), "cache-control": "no-store"}
    if file.left_out:
        headers["x-left-out"] = file.left_out
    return Response(file.html, headers=headers, media_type="text/html")
