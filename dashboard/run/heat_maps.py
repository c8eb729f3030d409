"""Histograms over iterations as heat maps (Winkler, 2018, figure 4.4): logits, sizes of gradients, and layers.

A page holds axes and words; each image has an address of its own, which names the axes.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from sqlalchemy.orm import Session

from api.curves.histograms import list_histogram_iterations, list_histograms_at, rebin
from api.curves.schemas import HistogramRead
from dashboard.charts.chart import FURTHEST, NARROWEST, TickView, nice_ticks, tick_at
from dashboard.charts.png import write_grey_png
from dashboard.run.requests import HeatMapAxes, Window
from dashboard.web.formats import show_count, show_number
from ganlib.spec.layers import watched_layers
from ganlib.vocabulary import (
    DISCRIMINATOR_GRADIENTS,
    FAKE_LOGITS,
    GENERATOR_GRADIENTS,
    REAL_LOGITS,
    layer_histogram,
)


@dataclass(frozen=True)
class Kind:
    """One or two heat maps with common axes.

    group: the id of its section. panels: a histogram's name, the player whose hue it has, and its name on the
    page. has_zero: whether 0 belongs on the axis. is_power: whether the values are powers of ten.
    is_own: whether somebody's own loop named the histogram.
    """

    group: str
    heading: str
    values: str
    panels: tuple[tuple[str, str, str], ...]
    has_zero: bool = False
    is_power: bool = False
    is_own: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The histograms' names."""
        return tuple(name for name, _, _ in self.panels)


LOGITS = Kind(
    "logits",
    "Logits over iterations",
    "logits",
    ((REAL_LOGITS.name, "discriminator", "real images"), (FAKE_LOGITS.name, "generator", "generated images")),
    has_zero=True,
)
# log10 of the size of each weight's gradient.
GRADIENTS = Kind(
    "gradients",
    "Sizes of gradients over iterations",
    "gradients",
    (
        (DISCRIMINATOR_GRADIENTS, "discriminator", "the discriminator"),
        (GENERATOR_GRADIENTS, "generator", "the generator"),
    ),
    is_power=True,
)
KINDS = (LOGITS, GRADIENTS)


def list_kinds(spec: Mapping[str, Any]) -> list[Kind]:
    """Return the kinds of heat maps of a run: logits, gradients, and the layers that its spec names."""
    layers: dict[str, list[dict[str, Any]]] = {
        player: (spec.get(player) or {}).get("layers") or [] for player in ("generator", "discriminator")
    }
    names = {player: [str(layer.get("layer")) for layer in own] for player, own in layers.items()}
    watched = watched_layers(spec.get("histogram_layers") or (), names)
    return [*KINDS, *(_layer_kind(player, index, layers[player]) for player, index in watched)]


# Histograms of somebody's own loop that a page shows.
MOST_OWN = 12


def list_own_kinds(names: Sequence[str]) -> list[Kind]:
    """Return a heat map for each histogram of somebody's own loop that has no place of its own."""
    known = {name for kind in KINDS for name in kind.names}
    own = [name for name in names if name not in known][:MOST_OWN]
    return [
        Kind(f"histogram-{number}", f"{name} over iterations", "values", ((name, "own", name),), is_own=True)
        for number, name in enumerate(own)
    ]


def _layer_kind(player: str, index: int, layers: Sequence[Mapping[str, Any]]) -> Kind:
    own, after = ([_name_layer(layer) for layer in layers[index : index + 2]] + [""])[:2]
    is_before = bool(after) and layers[index + 1].get("layer") == "activation"
    sides = (
        (("real", "discriminator", "real images"), ("fake", "generator", "generated images"))
        if player == "discriminator"
        else (("", "generator", "the generator"),)
    )
    place = f", before {after}" if is_before else ""
    return Kind(
        f"layers-{player}-{index}",
        f"{player.capitalize()}'s layer {index} ({own}){place}, over iterations",
        "outputs",
        tuple((layer_histogram(player, index, side), hue, word) for side, hue, word in sides),
    )


def _name_layer(layer: Mapping[str, Any]) -> str:
    name = layer.get("kind") if layer.get("layer") == "activation" else layer.get("layer")
    return str(name).replace("_", " ")


COLUMNS, ROWS = 200, 64
# Lines at powers of ten.
MOST_POWERS, FURTHEST_POWER = 5, 400
LEGEND_SHARES = (0.01, 0.1, 0.5, 1.0)


@dataclass(frozen=True)
class HeatMapData:
    """The iterations that have histograms in the window, and the histograms that are drawn."""

    kind: Kind
    window: Window
    iterations: list[int]
    histograms: list[HistogramRead]


@dataclass(frozen=True)
class PanelView:
    """One heat map: the brightness of its image is the share of the values. `caption` names the values."""

    id: str
    player: str
    caption: str
    newest: str
    image_url: str
    summary: str


@dataclass(frozen=True)
class HeatMapView:
    """Both heat maps with common axes; `cursor` is the selected iteration's place as a percentage, or empty."""

    id: str
    heading: str
    values: str
    panels: list[PanelView]
    ticks: list[TickView]
    first_label: str
    last_label: str
    first: int
    last: int
    legend: list[tuple[str, str]]
    notes: list[str]
    is_window: bool
    cursor: str


def read_heat_map(session: Session, job_id: str, kind: Kind, window: Window) -> HeatMapData:
    """Read the histograms of a kind in the window, or all where it holds none, as many as are drawn."""
    known = list_histogram_iterations(session, job_id, kind.names[0])
    chosen = window.choose(known)
    if not chosen:
        chosen, window = known, Window()
    columns = sorted(set(choose_columns(chosen))) if chosen else []
    return HeatMapData(kind, window, chosen, list_histograms_at(session, job_id, kind.names, columns))


def read_heat_map_png(session: Session, job_id: str, name: str, axes: HeatMapAxes) -> bytes | None:
    """Read and draw the histograms of this name to these axes; None where there is nothing to draw."""
    known = list_histogram_iterations(session, job_id, name)
    chosen = Window(axes.first, axes.last).choose(known)
    # Halved before they are subtracted: the range may be wider than the largest float.
    if not chosen or axes.high / 2 - axes.low / 2 < NARROWEST / 2:
        return None
    columns = choose_columns(chosen)
    histograms = list_histograms_at(session, job_id, [name], sorted(set(columns)))
    return write_grey_png(draw_heat_map(histograms, columns, axes.low, axes.high))


def choose_columns(iterations: list[int]) -> list[int]:
    """Return the iteration of the histogram that each of at most COLUMNS equally wide columns shows.

    A histogram covers the iterations since the one before it.
    """
    start = first_iteration(iterations)
    columns = min(COLUMNS, len(iterations))
    width = (iterations[-1] - start) / columns
    return [iterations[bisect_left(iterations, start + (column + 0.5) * width)] for column in range(columns)]


def first_iteration(iterations: list[int]) -> int:
    """Return the start of the axis: as far before the first histogram as the second is after it."""
    step = iterations[1] - iterations[0] if len(iterations) > 1 else iterations[0]
    return max(0, iterations[0] - step)


def build_heat_map(job_id: str, data: HeatMapData, selected: int | None = None) -> HeatMapView | None:
    """Return both heat maps; None without histograms in the window."""
    drawn = [histogram for histogram in data.histograms if sum(histogram.counts)]
    if not data.iterations or not drawn:
        return None
    kind = data.kind
    low, high = choose_axis(drawn, kind.has_zero)
    first, last = first_iteration(data.iterations), data.iterations[-1]
    axes = {"first": first, "last": last, "low": low, "high": high}
    return HeatMapView(
        id=kind.group,
        heading=kind.heading,
        values=kind.values,
        panels=[_panel(job_id, kind, axes, data.histograms, *panel) for panel in kind.panels],
        ticks=_ticks(kind, low, high),
        first_label=show_count(first),
        last_label=show_count(last),
        first=first,
        last=last,
        legend=[(f"{share:.0%}".replace("%", " %"), f"{brightness(share) / 255:.2f}") for share in LEGEND_SHARES],
        notes=_notes(data, low, high),
        is_window=data.window != Window(),
        cursor=_cursor(selected, first, last),
    )


def choose_axis(histograms: Sequence[HistogramRead], has_zero: bool = True) -> tuple[float, float]:
    """Return the range of the histograms, and of 0 where the sigmoid has its middle, with a little room.

    A tenth of the histograms may be spikes: where they reach further beyond the rest than the rest is wide, the
    axis does not follow them.
    """
    lows = sorted(max(h.low, -FURTHEST) for h in histograms)
    highs = sorted(min(h.high, FURTHEST) for h in histograms)
    skipped = len(histograms) // 10
    usual_low, usual_high = lows[skipped], highs[-1 - skipped]
    if has_zero:
        usual_low, usual_high = min(usual_low, 0.0), max(usual_high, 0.0)
    reach = usual_high - usual_low or 1.0
    low = min(max(lows[0], usual_low - reach), usual_low)
    high = max(min(highs[-1], usual_high + reach), usual_high)
    if high - low < NARROWEST:
        low, high = -1.0, 1.0
    room = 0.04 * (high - low)
    return low - room, high + room


def draw_heat_map(
    histograms: Sequence[HistogramRead], columns: Sequence[int], low: float, high: float
) -> list[bytes]:
    """Return the rows of pixels, the highest logits first: one histogram a column, black without one."""
    by_iteration = {histogram.iteration: rebin(histogram, low, high, ROWS) for histogram in histograms}
    nothing = [0.0] * ROWS
    shares = [by_iteration.get(iteration, nothing) for iteration in columns]
    return [bytes(brightness(column[row]) for column in shares) for row in reversed(range(ROWS))]


def brightness(share: float) -> int:
    """Return 0 to 255 for a share of 0 to 1: its cube root, so that one logit in a thousand still shows."""
    return round(255 * math.cbrt(min(1.0, max(0.0, share))))


def _panel(
    job_id: str,
    kind: Kind,
    axes: dict[str, float],
    histograms: Sequence[HistogramRead],
    name: str,
    player: str,
    word: str,
) -> PanelView:
    own = [histogram for histogram in histograms if histogram.name == name]
    short = name.rpartition("/")[2].replace(".", "-") if not kind.is_own else "own"
    # Any name of somebody's own may be in the address.
    path = f"histograms/{quote(name, safe='')}" if kind.is_own else name
    of = kind.values.capitalize()
    newest = (
        f"{_range(kind, own[-1])} up to iteration {show_count(own[-1].iteration)}" if own else f"no {kind.values}"
    )
    start = f"{_range(kind, own[0])} up to iteration {show_count(own[0].iteration)}, then " if len(own) > 1 else ""
    return PanelView(
        id=f"heat-{kind.group}-{short}",
        player=player,
        caption=f"{of} of {word}",
        newest=_range(kind, own[-1]) if own else "",
        image_url=f"/runs/{job_id}/{path}.png?{urlencode(axes)}",
        summary=f"{of} of {word} over the iterations: {start}{newest}.",
    )


def _range(kind: Kind, histogram: HistogramRead) -> str:
    if not sum(histogram.counts):
        return "no finite number"
    return f"{_show(kind, histogram.low)} … {_show(kind, histogram.high)}"


def _show(kind: Kind, value: float) -> str:
    """A power of ten as the number that it is: −4 as 1.0e-04."""
    if kind.is_power and -300 < value < 300:
        value = 10.0**value
    return show_number(value)


def _ticks(kind: Kind, low: float, high: float) -> list[TickView]:
    # No float has such a power; what a worker reports may be anything.
    if not kind.is_power or max(-low, high) > FURTHEST_POWER:
        return [tick_at(value, low, high) for value in nice_ticks(low, high)]
    step = max(1, math.ceil((high - low) / MOST_POWERS))
    powers = range(step * math.ceil(low / step), math.floor(high) + 1, step)
    return [TickView(tick_at(power, low, high).at, f"1e{power:+03d}") for power in powers]


def _cursor(selected: int | None, first: int, last: int) -> str:
    if selected is None or not first <= selected <= last or first == last:
        return ""
    return f"{100 * (selected - first) / (last - first):.2f}%"


def _notes(data: HeatMapData, low: float, high: float) -> list[str]:
    kind = data.kind
    notes = []
    shown, known = len({histogram.iteration for histogram in data.histograms}), len(data.iterations)
    if shown < known:
        notes.append(f"{show_count(shown)} of {show_count(known)} histograms are drawn.")
    least, most = min(h.low for h in data.histograms), max(h.high for h in data.histograms)
    if least < low or most > high:
        notes.append(
            f"{kind.values.capitalize()} reach {_show(kind, least)} … {_show(kind, most)}; "
            "values beyond the axis are drawn at its edge."
        )
    lost = sum(histogram.not_finite for histogram in data.histograms)
    if lost:
        what = "are 0 or not finite" if kind.is_power else "are not finite"
        notes.append(f"{show_count(lost)} {kind.values} {what} and are not drawn.")
    return notes
