"""What the list of runs reads from a request; what it does not understand it leaves out."""

import re
from collections.abc import Iterable
from typing import Annotated, get_args
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from api.errors import RequestInvalid
from api.jobs.sorting import check_sort
from dashboard.runs.bulk_actions import Action
from dashboard.runs.columns import (
    KNOWN,
    NEWEST_FIRST,
    VIEWS,
    Column,
    Listing,
    arrange_columns,
    choose_columns,
    find_column,
)

COLUMNS_COOKIE = "ganvas_columns"
MAX_SEARCH = 1000
MAX_CHOSEN = 200
_JOB_ID = re.compile(r"[a-z0-9]{1,32}")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,49}")
# Words that addresses had before there was one search.
_EARLIER = ("state", "name", "tag", "commit")
Pairs = list[tuple[str, str]]


def read_listing(request: Request) -> Listing:
    """Return what the list is asked for."""
    asked = request.query_params
    earlier = [f"{key}:{_quote(asked[key])}" for key in _EARLIER if asked.get(key, "").strip()]
    search = " ".join([asked.get("q", ""), *earlier])
    return Listing(
        q=search.replace("\0", "").strip()[:MAX_SEARCH],
        sort=_read_sort(asked.get("sort", "")),
        view=next((view for view in VIEWS if view == asked.get("view")), "table"),
        columns=tuple(column.key for column in choose_columns(_split(asked["columns"])))
        if "columns" in asked
        else (),
        cursor=asked.get("cursor", ""),
    )


def read_columns(request: Request) -> list[Column]:
    """Return the columns that the address names, else those that the reader chose."""
    return choose_columns(_split(request.query_params.get("columns") or request.cookies.get(COLUMNS_COOKIE, "")))


async def read_pairs(request: Request) -> Pairs:
    """Return the fields of a posted form in their order."""
    text = (await request.body()).decode("utf-8", "replace")
    return parse_qsl(text, keep_blank_values=True)


def read_column_choice(fields: Pairs) -> str:
    """Return the columns that a form chooses; those that there are not are left out."""
    known = [value for key, value in fields if key == "column" and value in KNOWN]
    others = [name for key, value in fields if key == "others" for name in _split(value)]
    kept = [name for name in others if name not in KNOWN and find_column(name)]
    return ",".join(arrange_columns(known, kept))[:MAX_SEARCH]


def read_chosen(fields: Iterable[tuple[str, str]]) -> list[str]:
    """Return the ids of the runs that a form names, each once."""
    named = (value for key, value in fields if key == "run" and _JOB_ID.fullmatch(value))
    return list(dict.fromkeys(named))[:MAX_CHOSEN]


def read_action(fields: Pairs) -> Action | None:
    """Return what a form wants done."""
    named = dict(fields).get("action")
    return next((action for action in get_args(Action) if action == named), None)


def read_tag(fields: Pairs) -> str:
    """Return the tag that a form names, empty where it is none."""
    tag = dict(fields).get("tag", "").strip()
    return tag if _TAG.fullmatch(tag) else ""


def _read_sort(sort: str) -> str:
    try:
        check_sort(sort)
    except RequestInvalid:
        return NEWEST_FIRST
    return sort


def _split(names: str) -> list[str]:
    return re.split(r"[,\s]+", names.strip())[:50]


def _quote(value: str) -> str:
    text = value.strip()[:200].replace('"', "")
    return f'"{text}"' if not text or re.search(r"\s", text) else text


FormPairs = Annotated[Pairs, Depends(read_pairs)]
