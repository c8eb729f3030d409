"""Refuses query fields that a route does not take: a misspelt filter would otherwise list everything.

U+0000 in a query is refused by the routes of the API; for a page it becomes U+FFFD, which is found nowhere.

What FastAPI reads is known from the route itself; a route that reads the query on its own declares its fields.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import BaseModel
from starlette.types import Scope

from api.server.http.bodies import refuse_request
from ganlib.spec.documents.suggestions import find_near
from ganlib.spec.storable import UNSTORABLE_TEXT, is_storable

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_DECLARED = "query_fields"
_UNSTORABLE = "ganvas.unstorable_query"
_MAX_SHOWN = 80
_MAX_PROBLEMS = 20


def takes_query(*fields: str | type[BaseModel]) -> Callable[[Endpoint], Endpoint]:
    """Declare the query fields that a route reads on its own, by name or as the models that they fill.

    A name that ends with a dot stands for all fields that begin so, a star for all: of an API that is not ours.
    """
    names = {name for field in fields for name in ([field] if isinstance(field, str) else _list_names(field))}

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _DECLARED, frozenset(names))
        return endpoint

    return declare


def replace_unstorable_query(scope: Scope) -> None:
    """Replace U+0000 in the query, and keep the query as it came for routes that refuse it.

    Other characters that no database can store cannot be written in a query.
    """
    query: bytes = scope["query_string"]
    if b"%00" in query or b"\0" in query:
        scope[_UNSTORABLE] = query
        scope["query_string"] = query.replace(b"%00", b"%EF%BF%BD").replace(b"\0", b"%EF%BF%BD")


async def refuse_unknown_fields(request: Request) -> None:
    """Dependency of every route: raise RequestInvalid for query fields that the route does not take."""
    if not request.scope["query_string"]:
        return
    if _UNSTORABLE in request.scope and getattr(request.scope.get("route"), "include_in_schema", False):
        raise refuse_request(_list_unstorable(request.scope[_UNSTORABLE]))
    known = _list_known(request)
    unknown = [name for name in request.query_params if not _is_known(name, known)]
    if unknown:
        raise refuse_request([_describe(name, known) for name in unknown[:_MAX_PROBLEMS]])


def _list_unstorable(query: bytes) -> list[dict[str, str]]:
    return [
        {"field": f"query.{name}"[:_MAX_SHOWN], "given": repr(value)[:_MAX_SHOWN], "message": UNSTORABLE_TEXT}
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True)[:_MAX_PROBLEMS]
        if not (is_storable(name) and is_storable(value))
    ]


def _is_known(name: str, known: frozenset[str]) -> bool:
    return bool({name, "*"} & known) or any(prefix.endswith(".") and name.startswith(prefix) for prefix in known)


def _describe(name: str, known: frozenset[str]) -> dict[str, str]:
    near = find_near(name, known)
    if near:
        advice = f"did you mean {near}?"
    else:
        advice = f"this address takes: {', '.join(sorted(known))}" if known else "this address takes none"
    return {"field": name[:_MAX_SHOWN], "given": "", "message": f"there is no such query field; {advice}"}


def _list_known(request: Request) -> frozenset[str]:
    """Return the names of the fields that the request's route takes."""
    declared: frozenset[str] = getattr(request.scope.get("endpoint"), _DECLARED, frozenset())
    return declared | frozenset(_list_parameters(getattr(request.scope.get("route"), "dependant", None)))


def _list_parameters(dependant: Any) -> Iterator[str]:
    """Yield the names of the query's parameters of a route and of all that it depends on."""
    if dependant is None:
        return
    for parameter in dependant.query_params:
        model = parameter.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from _list_names(model)
        else:
            yield parameter.alias
    for inner in dependant.dependencies:
        yield from _list_parameters(inner)


def _list_names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
