"""What the list of runs is asked for, and the addresses that ask for it otherwise."""

from dataclasses import dataclass, replace
from typing import Literal, get_args
from urllib.parse import urlencode

View = Literal["table", "gallery"]
VIEWS: tuple[View, ...] = get_args(View)
NEWEST_FIRST = "-created_at"


@dataclass(frozen=True)
class Listing:
    """A search in the words of `api.search`, an order, a view, columns if the address names them, and a page."""

    q: str = ""
    sort: str = NEWEST_FIRST
    view: View = "table"
    columns: tuple[str, ...] = ()
    cursor: str = ""

    def href(self, path: str = "/") -> str:
        """Return the address that asks for this."""
        given = self.fields() | {"q": self.q, "cursor": self.cursor}
        query = {key: value for key, value in given.items() if value}
        return f"{path}?{urlencode(query)}" if query else path

    def fields(self) -> dict[str, str]:
        """Return what a new search keeps: order, view and columns, where they are not the usual ones."""
        given = {
            "sort": "" if self.sort == NEWEST_FIRST else self.sort,
            "view": "" if self.view == "table" else self.view,
            "columns": ",".join(self.columns),
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
        words = [word for word in self.q.split() if not word.startswith("state:")]
        return self.search(" ".join([*words, *([f"state:{state}"] if state else [])]))

    def with_tag(self, tag: str) -> "Listing":
        """Return the same of one tag more."""
        word = f"tag:{tag}"
        return self.search(self.q if word in self.q.split() else f"{self.q} {word}".strip())
