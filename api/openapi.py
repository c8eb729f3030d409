"""The OpenAPI schema: routes read their JSON bodies themselves, so the bodies' schemas are added here."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from api.errors import BodyTooLarge, NotAllowed, NotAuthenticated, OriginRefused, RequestInvalid, ServiceError
from api.schemas import ClaimRequest, EventsPost, FinishPost, JobEdit, StreamEvent, WorkerPost
from ganlib.spec import JobSpec

_MODELS: tuple[type[BaseModel], ...] = (
    JobSpec,
    JobEdit,
    ClaimRequest,
    EventsPost,
    FinishPost,
    WorkerPost,
    StreamEvent,
)
_GATE_ERRORS: dict[str, tuple[type[ServiceError], ...]] = {
    "401": (NotAuthenticated,),
    "403": (NotAllowed, OriginRefused),
    "413": (BodyTooLarge,),
}
REF = "#/components/schemas/{model}"


def request_body(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """Return what a route adds to its operation to describe the body that it reads."""
    content = {"schema": {"$ref": REF.format(model=model.__name__)}, "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """Build the schema once; later calls return the same."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        _drop_foreign_errors(schema, components)
        for model in _MODELS:
            own = model.model_json_schema(ref_template=REF)
            components.update(own.pop("$defs", {}))
            components[model.__name__] = own
        _add_errors_of_the_gate(schema)
        app.openapi_schema = schema
    return app.openapi_schema


def _drop_foreign_errors(schema: dict[str, Any], components: dict[str, Any]) -> None:
    # FastAPI announces its own shape of a 422, which this service never sends.
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    for methods in schema["paths"].values():
        for operation in methods.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                operation["responses"]["422"] = {
                    "description": f"`{RequestInvalid.code}`: {RequestInvalid.message}",
                    "content": {"application/json": {"schema": {"$ref": REF.format(model="ErrorRead")}}},
                }


def _add_errors_of_the_gate(schema: dict[str, Any]) -> None:
    # What any request may be answered with before its route is looked for.
    for methods in schema["paths"].values():
        for operation in methods.values():
            for status, errors in _GATE_ERRORS.items():
                operation["responses"].setdefault(status, _describe(*errors))
            for status, answer in operation["responses"].items():
                # FastAPI says that a stream's errors are streams, too.
                if status >= "400" and len(answer.get("content", {})) == 1:
                    answer["content"] = {"application/json": next(iter(answer["content"].values()))}


def _describe(*errors: type[ServiceError]) -> dict[str, Any]:
    return {
        "description": "\n\n".join(f"`{error.code}`: {error.message}" for error in errors),
        "content": {"application/json": {"schema": {"$ref": REF.format(model="ErrorRead")}}},
    }
