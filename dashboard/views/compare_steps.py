"""Where on the axis a comparison stands, and the ways to other places."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.views.compare_tracks import Track, all_places, last_common
from dashboard.views.comparison import Comparison, write_place
from dashboard.views.places import describe_place

UNITS = {"iteration": "Iteration", "images": "Images seen", "time": "Seconds since the start"}


@dataclass(frozen=True)
class StepsView:
    """The place, and links to others (empty where there is none). `value`: the place as an address says it."""

    has_grids: bool
    unit: str
    value: str
    at_word: str
    first_href: str
    previous_href: str
    next_href: str
    common_href: str
    newest_href: str


def build_steps(asked: Comparison, tracks: Sequence[Track], at: float | None) -> StepsView:
    """Return where the comparison stands; each step leads to the next place at which some run has a grid."""
    places = all_places(tracks)
    unit = UNITS[asked.axis]
    if not places or at is None:
        return StepsView(False, unit, "", "", "", "", "", "", "")
    before, after = bisect_left(places, at) - 1, bisect_right(places, at)
    common = last_common(tracks)
    return StepsView(
        has_grids=True,
        unit=unit,
        value=write_place(at),
        at_word=describe_place(asked.axis, at),
        first_href=asked.href(at=places[0]) if at != places[0] else "",
        previous_href=asked.href(at=places[before]) if before >= 0 else "",
        next_href=asked.href(at=places[after]) if after < len(places) else "",
        common_href=asked.href(at=None) if at != common else "",
        newest_href=asked.href(at=places[-1]) if at < places[-1] else "",
    )
