"""What a recipe costs on a laptop, read from the words that it says it in."""

import math
import re

_COST = re.compile(r"(?P<number>\d+(?:\.\d+)?) ?(?P<unit>s|min|h)\b")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
# Up to how many seconds each group reaches; what says no time at all comes last.
BANDS = (
    (90.0, "Up to a minute and a half"),
    (300.0, "Up to 5 minutes"),
    (900.0, "Up to a quarter of an hour"),
    (3600.0, "Up to an hour"),
    (4 * 3600.0, "Up to 4 hours"),
    (math.inf, "Longer: for a GPU, or a few nights"),
)
UNKNOWN = "Not known"


def read_seconds(cost: str) -> float | None:
    """Return the time in a recipe's cost, as in "about 1.5 min for 2,000 iterations on one CPU core", or None."""
    found = _COST.search(cost)
    return float(found["number"]) * _SECONDS[found["unit"]] if found else None


def name_band(seconds: float | None) -> str:
    """Return the heading below which a recipe of this cost stands."""
    return UNKNOWN if seconds is None else next(name for most, name in BANDS if seconds <= most)
