"""The columns of the list of runs: known ones, any metric, and any field of a spec; and the list's address."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args
from urllib.parse import urlencode

from api.jobs.search import is_metric, read_metric
from dashboard.web.layout import write_tag_term
from ganlib.spec.documents.suggestions import ask_near
from ganlib.spec.paths import NoSuchField, resolve_field
from ganlib.vocabulary import DISCRIMINATOR_LOSS, GENERATOR_LOSS

View = Literal["table", "gallery"]
VIEWS: tuple[View, ...] = get_args(View)
NEWEST_FIRST = "-created_at"


@dataclass(frozen=True)
class Listing:
    """A search, an order, a view and columns if the address names them, a grouping, and a page.

    group: fields of the spec, or `spec` for runs that differ in no more than their seeds.
    """

    q: str = ""
    sort: str = NEWEST_FIRST
    view: View | Literal[""] = ""
    columns: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    cursor: str = ""

    def href(self, path: str = "/") -> str:
        """Return the address of this list."""
        given = self.fields() | {"q": self.q, "cursor": self.cursor}
        query = {key: value for key, value in given.items() if value}
        return f"{path}?{urlencode(query)}" if query else path

    def fields(self) -> dict[str, str]:
        """Return the parameters that a new search keeps: order, view, columns and grouping, without defaults."""
        given = {
            "sort": "" if self.sort == NEWEST_FIRST else self.sort,
            "view": self.view,
            "columns": ",".join(self.columns),
            "group": ",".join(self.group),
        }
        return {key: value for key, value in given.items() if value}

    def search(self, q: str) -> "Listing":
        """Return another search with the same order and view, from its first page."""
        return replace(self, q=q, cursor="")

    def order(self, sort: str) -> "Listing":
        """Return the same in another order, from its first page."""
        return replace(self, sort=sort, cursor="")

    def with_state(self, state: str) -> "Listing":
        """Return the same of one state, or (empty) of all."""
        return self._with_word("state:", state)

    def with_origin(self, origin: str) -> "Listing":
        """Return the same of one origin, or (empty) of all."""
        return self._with_word("origin:", origin)

    def _with_word(self, key: str, value: str) -> "Listing":
        words = [word for word in self.q.split() if not word.startswith(key)]
        return self.search(" ".join([*words, *([f"{key}{value}"] if value else [])]))

    def with_tag(self, tag: str) -> "Listing":
        """Return the same of one tag more."""
        return self if self.has_tag(tag) else self.search(f"{self.q} {write_tag_term(tag)}".strip())

    def has_tag(self, tag: str) -> bool:
        """Return whether the search asks for this tag."""
        return f" {write_tag_term(tag)} " in f" {self.q} "


MAX_COLUMNS = 24


@dataclass(frozen=True)
class Column:
    """One column: its key, its heading, its sort after a first click (empty: none).

    kind: the key itself for a known column, `metric` or `field` for others.
    """

    key: str
    heading: str
    sort: str = ""
    is_number: bool = False
    kind: str = ""


KNOWN = {
    column.key: column
    for column in (
        Column("newest", "Newest"),
        Column("name", "Run", "name"),
        Column("verdict", "Health"),
        Column("score", "Best score", is_number=True),
        Column("curves", "Losses"),
        Column("state", "State", "state"),
        Column("progress", "Progress", "-iteration"),
        Column("time", "Time", "-duration", is_number=True),
        Column("generator", "Generator", GENERATOR_LOSS.name, is_number=True),
        Column("discriminator", "Discriminator", DISCRIMINATOR_LOSS.name, is_number=True),
        Column("attempt", "Attempt", is_number=True),
        Column("id", "Id"),
        Column("commit", "Commit"),
        Column("age", "Age", "-created_at", is_number=True),
    )
}
# A run's name is its row's heading, so it is always there.
ALWAYS = "name"
USUAL = ("newest", "name", "verdict", "score", "curves", "state", "progress", "time", "age")
# Columns after the metrics and fields that a reader added.
LAST = ("commit", "age")


@dataclass(frozen=True)
class HeadingView:
    """A column's heading; one that sorts has an address, and `direction` is the value of aria-sort, or empty."""

    key: str
    text: str
    href: str
    direction: str
    is_number: bool


@dataclass(frozen=True)
class ColumnChoice:
    """A known column that a reader may choose."""

    key: str
    text: str
    chosen: bool


def explain_unknown(names: Sequence[str]) -> str:
    """Return a sentence about the first of these that is no column, with the nearest name; empty for none."""
    for name in names:
        if find_column(name) is None:
            try:
                resolve_field(name)
            except NoSuchField as error:
                near = ask_near(name, KNOWN)
                return f"No column {name[:60]}{near or f': {error}'}"
    return ""


def choose_columns(names: Sequence[str]) -> list[Column]:
    """Return the columns of these names in their order; unknown ones are left out, none means the usual ones."""
    columns = [column for name in dict.fromkeys(names) if (column := find_column(name))]
    if not columns:
        return [KNOWN[key] for key in USUAL]
    return columns[:MAX_COLUMNS] if KNOWN[ALWAYS] in columns else [KNOWN[ALWAYS], *columns[:MAX_COLUMNS]]


def find_column(name: str) -> Column | None:
    """Return the column of this name: a known one, a metric's, a spec field's, or None."""
    if name in KNOWN:
        return KNOWN[name]
    if is_metric(name):
        return Column(name, read_metric(name), name, is_number=True, kind="metric")
    try:
        resolve_field(name)
    except NoSuchField:
        return None
    return Column(name, name, name, kind="field")


def arrange_columns(known: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """Return chosen known columns and others in their order of reading."""
    first = [key for key in KNOWN if key not in LAST and (key in known or key == ALWAYS)]
    return (*first, *others, *(key for key in LAST if key in known))


def show_headings(columns: Sequence[Column], listing: Listing) -> list[HeadingView]:
    """Return the headings; the link of the one that the list is sorted by reverses the order."""
    return [_heading(column, listing) for column in columns]


def show_choices(columns: Sequence[Column]) -> list[ColumnChoice]:
    """Return every known column that can be left out."""
    chosen = {column.key for column in columns}
    return [ColumnChoice(key, column.heading, key in chosen) for key, column in KNOWN.items() if key != ALWAYS]


def _heading(column: Column, listing: Listing) -> HeadingView:
    name = column.sort.removeprefix("-")
    current = bool(name) and listing.sort.removeprefix("-") == name
    rising = not listing.sort.startswith("-")
    wanted = (f"-{name}" if rising else name) if current else column.sort
    return HeadingView(
        key=column.key,
        text=column.heading,
        href=listing.order(wanted).href() if name else "",
        direction=("ascending" if rising else "descending") if current else "",
        is_number=column.is_number,
    )
