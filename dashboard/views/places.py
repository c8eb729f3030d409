"""Places on the axis of curves and of compared runs, in words; static/js/places.js says the same."""

from dashboard.formats import show_count, show_duration
from dashboard.views.comparison import Axis


def show_place(axis: Axis, place: float) -> str:
    """Return a place in human form."""
    return show_duration(place) if axis == "time" else show_count(round(place))


def describe_place(axis: Axis, place: float) -> str:
    """Say where that is: iteration 1,000."""
    shown = show_place(axis, place)
    match axis:
        case "iteration":
            return f"iteration {shown}"
        case "images":
            return f"{shown} images seen"
        case "time":
            return f"{shown} after the start"
