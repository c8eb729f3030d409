"""Schemas of links that show one page to people without an account."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from api.server.http.schemas import Request, Schema

ShareKind = Literal["run", "compare", "figure"]
ShareState = Literal["live", "expired", "revoked"]
MOST_RUNS = 10
# Of a comparison that draws groups of runs.
MOST_GROUPED = 50
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_UNITS = {"m": _MINUTE, "h": _HOUR, "d": _DAY, "w": 7 * _DAY}
_LIFETIME = re.compile(r"([0-9]{1,6})\s*([mhdw])", re.ASCII)
DEFAULT_SECONDS, LEAST_SECONDS, MOST_SECONDS = 7 * _DAY, _MINUTE, 366 * _DAY


def check_lifetime(given: Any) -> int:
    """Return the seconds of `30m`, `12h`, `7d`, `2w` or a number; raises ValueError for any other life."""
    is_whole = isinstance(given, float) and given.is_integer()
    text = str(int(given) if is_whole else given).strip()
    match = _LIFETIME.fullmatch(text)
    is_number = not isinstance(given, bool) and text.isascii() and text.isdigit() and len(text) <= 9
    seconds = int(match[1]) * _UNITS[match[2]] if match else int(text) if is_number else None
    if seconds is None or not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise ValueError(
            f"{text[:40]!r} is no life of a link: write 30m, 12h, 7d or 2w, from a minute to 366 days."
        )
    return seconds


Lifetime = Annotated[int, BeforeValidator(check_lifetime), Field(ge=LEAST_SECONDS, le=MOST_SECONDS)]
RunName = Annotated[str, Field(min_length=1, max_length=200)]


class ShareCreate(Request):
    """The page to share: a run, a comparison of runs, or a figure of some.

    targets: the runs, by id, the beginning of one, or name. address: of a comparison its page's with the metrics
    and the place on the axis that it shows, of a figure its file's; runs that it names are shared, too.
    expires_in: seconds, or `12h`, `7d`, `2w`.
    """

    kind: ShareKind = "run"
    targets: Annotated[
        list[RunName],
        BeforeValidator(lambda given: [given] if isinstance(given, str) else given),
        Field(max_length=MOST_RUNS, validation_alias=AliasChoices("targets", "target")),
    ] = []
    address: Annotated[str, Field(max_length=4000, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    expires_in: Lifetime = DEFAULT_SECONDS


class SharedRun(Schema):
    """A run that a link shows; its name is null when it is gone."""

    id: str
    name: str | None


class ShareRead(Schema):
    """A link. `state`: live, expired or revoked; a link to a run that was deleted shows nothing, either.

    address: of the page that it shows, for those who have an account.
    """

    id: str
    kind: ShareKind
    runs: list[SharedRun]
    address: str
    state: ShareState
    made_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class ShareMade(ShareRead):
    """A new link. `url` is its address below the service's own, and is told this once."""

    url: str
