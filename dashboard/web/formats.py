"""Numbers and times as people read them. `static/core/format.js` does the same; a test compares the two."""

import math
from datetime import UTC, datetime
from urllib.parse import quote

NOTHING = "–"
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def show_count(value: int) -> str:
    """12345 as 12,345."""
    return f"{value:,}"


def show_number(value: float | None, digits: int = 3) -> str:
    """A metric in three significant figures (or `digits`): 1.39, 0.0213, 1,204, 3.1e-05, or what it is instead."""
    if value is None:
        return NOTHING
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "−infinite"
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1_000_000 or size < 0.001:
        text = f"{value:.1e}"
    elif size >= 1000:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.{max(0, digits - 1 - math.floor(math.log10(size)))}f}"
    return text.replace("-", "−", 1) if value < 0 else text


def show_tick(value: float) -> str:
    """A round number beside an axis, written in full: 0.05, −400,000; far from 1 as a power, 2e+12."""
    size = abs(value)
    text = f"{size:,.10g}" if size == 0 or 1e-4 <= size < 1e9 else f"{size:.10g}"
    return ("−" if value < 0 else "") + (text if "e" in text or size < 1e9 else _show_power(size))


def _show_power(size: float) -> str:
    mantissa, power = f"{size:.9e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{power}"


def show_exact(value: float | None) -> str:
    """Every digit, for those who hover."""
    return NOTHING if value is None else repr(float(value))


def show_duration(seconds: float | None) -> str:
    """Two units at most: 42 s, 3 min 5 s, 2 h 10 min, 4 d 3 h."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    whole = max(0, math.floor(seconds + 0.5))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def show_age(moment: datetime, now: datetime) -> str:
    """How long ago, in one unit: 42 s ago, 3 min ago, 5 h ago, 12 d ago."""
    seconds = max(0, math.floor((now - moment).total_seconds()))
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def show_moment(moment: datetime) -> str:
    """2026-01-31 09:05 UTC; scripts turn it into the reader's zone."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def show_percent(fraction: float) -> str:
    """Whole per cent; 100 % only when all is done."""
    return f"{min(100, math.floor(fraction * 100))} %"


def show_bytes(size: int) -> str:
    """1,480,000 as 1.5 MB."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def write_disposition(stem: str, form: str, *, is_shown: bool = False) -> str:
    """Return the header that names a file; a browser shows it or saves it."""
    name = f"{stem}.{form}"
    # A header is ASCII, and ends a name at a quote: other letters go into a field of their own (RFC 6266).
    plain = "".join(letter if " " <= letter <= "~" and letter not in '"\\' else "_" for letter in name)
    beside = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'{"inline" if is_shown else "attachment"}; filename="{plain}"{beside}'
