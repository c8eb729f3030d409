"""Reads the search, columns and actions of the list of runs; what is not understood is left out."""

import re
from collections.abc import Iterable
from typing import Annotated, get_args
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from pydantic import TypeAdapter, ValidationError

from api.errors import RequestInvalid
from api.jobs.sorting import check_sort
from api.jobs.tables.groups import MOST_FIELDS
from dashboard.runs.bulk_actions import Action
from dashboard.runs.columns import (
    KNOWN,
    NEWEST_FIRST,
    VIEWS,
    Column,
    Listing,
    View,
    arrange_columns,
    choose_columns,
    explain_unknown,
)
from ganlib.spec.fields import Tag

COLUMNS_COOKIE, VIEW_COOKIE = "ganvas_columns", "ganvas_view"
MAX_SEARCH = 1000
MAX_RUNS = 200
# A name in quotes may hold blanks and commas.
_NAME = re.compile(r'"[^"]*"|[^\s,"]+')
_JOB_ID = re.compile(r"[a-z0-9]{1,32}")
_TAG: TypeAdapter[str] = TypeAdapter(Tag)
# Parameters of addresses from before there was one search field.
_OLD_PARAMETERS = ("state", "name", "tag", "commit")
# All fields of the list's address.
LIST_FIELDS = ("q", "sort", "view", "columns", "group", "cursor", *_OLD_PARAMETERS)
Pairs = list[tuple[str, str]]


def read_listing(request: Request) -> Listing:
    """Return the search, order, view, columns and grouping that the address names."""
    query = request.query_params
    old = [f"{key}:{_quote(query[key])}" for key in _OLD_PARAMETERS if query.get(key, "").strip()]
    search = " ".join([query.get("q", ""), *old])
    return Listing(
        q=search.replace("\0", "").strip()[:MAX_SEARCH],
        sort=_read_sort(query.get("sort", "")),
        view=read_view(query.get("view")) or "",
        columns=tuple(column.key for column in choose_columns(_split(query["columns"])))
        if "columns" in query
        else (),
        group=tuple(dict.fromkeys(_split(query.get("group", ""))))[:MOST_FIELDS],
        cursor=query.get("cursor", ""),
    )


def read_view(value: str | None) -> View | None:
    """Return the view of this name, or None."""
    return next((view for view in VIEWS if view == value), None)


def choose_view(request: Request) -> View:
    """Return the view that the address names, else the one that the reader chose, else the table."""
    return read_view(request.query_params.get("view")) or read_view(request.cookies.get(VIEW_COOKIE)) or "table"


def read_columns(request: Request) -> tuple[list[Column], str]:
    """Return the columns that the address names, else those that the reader chose; and what is wrong with one."""
    names = _split(request.query_params.get("columns") or request.cookies.get(COLUMNS_COOKIE, ""))
    return choose_columns(names), explain_unknown(names)


async def read_pairs(request: Request) -> Pairs:
    """Return the fields of a posted form in their order."""
    text = (await request.body()).decode("utf-8", "replace")
    return parse_qsl(text, keep_blank_values=True)


def read_column_choice(fields: Pairs) -> str:
    """Return the columns that a form chooses; the list says what is wrong with an unknown one."""
    known = [value for key, value in fields if key == "column" and value in KNOWN]
    others = [name for key, value in fields if key == "others" for name in _split(value)]
    kept = [name for name in others if name not in KNOWN]
    return ",".join(arrange_columns(known, kept))[:MAX_SEARCH]


def read_run_ids(fields: Iterable[tuple[str, str]]) -> list[str]:
    """Return the ids of the runs that a form names, each once."""
    named = (value for key, value in fields if key == "run" and _JOB_ID.fullmatch(value))
    return list(dict.fromkeys(named))[:MAX_RUNS]


def read_action(fields: Pairs) -> Action | None:
    """Return the action that a form names, or None."""
    named = dict(fields).get("action")
    return next((action for action in get_args(Action) if action == named), None)


def read_tag(fields: Pairs) -> str:
    """Return the tag that a form names, empty where it is not a valid tag."""
    try:
        return _TAG.validate_python(dict(fields).get("tag", "").strip())
    except ValidationError:
        return ""


def _read_sort(sort: str) -> str:
    try:
        check_sort(sort)
    except RequestInvalid:
        return NEWEST_FIRST
    return sort


def _split(names: str) -> list[str]:
    return _NAME.findall(names)[:50]


def _quote(value: str) -> str:
    text = value.strip()[:200].replace('"', "")
    return f'"{text}"' if not text or re.search(r"\s", text) else text


FormPairs = Annotated[Pairs, Depends(read_pairs)]
