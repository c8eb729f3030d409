"""The OpenAPI schema: routes read their JSON bodies themselves, so the bodies' schemas are added here."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api.attempts.schemas import ClaimRequest, FinishPost, RunOpen
from api.errors import BodyTooLarge, NotAllowed, NotAuthenticated, OriginRefused, RequestInvalid, ServiceError
from api.events.schemas import EventsPost, StreamEvent
from api.jobs.schemas import JobEdit
from api.server.access.proxies import ROOT
from api.server.access.scopes import needs
from api.server.sharing.schemas import ShareCreate
from api.server.specs.schemas import SpecCheck
from api.workers.schemas import WorkerPost
from ganlib.spec.job import JobSpec
from ganlib.vocabulary import DISCRIMINATOR_LOSS, GENERATOR_LOSS

_MODELS: tuple[type[BaseModel], ...] = (
    JobSpec,
    JobEdit,
    ClaimRequest,
    EventsPost,
    FinishPost,
    RunOpen,
    WorkerPost,
    ShareCreate,
    SpecCheck,
    StreamEvent,
)
_MIDDLEWARE_ERRORS: dict[str, tuple[type[ServiceError], ...]] = {
    "401": (NotAuthenticated,),
    "403": (NotAllowed, OriginRefused),
    "413": (BodyTooLarge,),
    # Such as for a query field that no operation takes.
    "422": (RequestInvalid,),
}
REF = "#/components/schemas/{model}"


def request_body(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """Return the `openapi_extra` that describes a route's body."""
    content = {"schema": {"$ref": REF.format(model=model.__name__)}, "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """Build the schema on the first call; later calls return the same object."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        _drop_foreign_errors(schema, components)
        for model in _MODELS:
            own = model.model_json_schema(ref_template=REF)
            components.update(own.pop("$defs", {}))
            components[model.__name__] = own
        _add_middleware_errors(schema)
        _describe_parameters(schema)
        app.openapi_schema = schema
    return app.openapi_schema


# What parameters mean that are described at no route: they mean the same at each.
MEANINGS = {
    "job_id": "the job's id",
    "attempt": "the attempt's number, from 1",
    "iteration": "the iteration at which the checkpoint was saved",
    "under": "only files whose names begin so, such as `checkpoints/`",
    "share_id": "the link's id, which is no secret",
    "sha256": "the file's sha256, 64 hexadecimal digits",
    "name": "a part of the job's name",
    "tag": "a whole tag",
    "commit": "the first digits of the commit that ran",
    "recipe": "a part of the paper that the job repeats",
    "sort": "a column, `duration`, a metric or a field of the spec; `-` in front reverses the order",
    "limit": "at most so many on one page",
    "tail": "the newest lines, at most so many",
    "points": "at most so many points or stretches of each curve; every point without it",
    "form": "`json`, or columns for programs: `binary` for points, `bands` for stretches",
    "after": "only events after the one with this id",
    "last-event-id": "as `after`; a browser sends it when it connects again",
    "if-none-match": "the ETag of a copy that the caller has: the answer is 304 while it is still right",
    "idempotency-key": "a text of your choice; the same one with the same spec makes no second job",
}


def _describe_parameters(schema: dict[str, Any]) -> None:
    for methods in schema["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                if not parameter.get("description"):
                    parameter["description"] = MEANINGS[parameter["name"].lower()]


def _drop_foreign_errors(schema: dict[str, Any], components: dict[str, Any]) -> None:
    # FastAPI documents its own shape of a 422, which this service never sends.
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    for methods in schema["paths"].values():
        for operation in methods.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                operation["responses"]["422"] = {
                    "description": f"`{RequestInvalid.code}`: {RequestInvalid.message}",
                    "content": {"application/json": {"schema": {"$ref": REF.format(model="ErrorRead")}}},
                }


def _add_middleware_errors(schema: dict[str, Any]) -> None:
    # Errors that AccessMiddleware may answer any request with, before routing.
    for methods in schema["paths"].values():
        for operation in methods.values():
            for status, errors in _MIDDLEWARE_ERRORS.items():
                operation["responses"].setdefault(status, _describe(*errors))
            for status, answer in operation["responses"].items():
                # FastAPI documents a stream's errors as streams, too.
                if status >= "400" and len(answer.get("content", {})) == 1:
                    answer["content"] = {"application/json": next(iter(answer["content"].values()))}


def _describe(*errors: type[ServiceError]) -> dict[str, Any]:
    return {
        "description": "\n\n".join(f"`{error.code}`: {error.message}" for error in errors),
        "content": {"application/json": {"schema": {"$ref": REF.format(model="ErrorRead")}}},
    }


router = APIRouter(dependencies=needs("read"), include_in_schema=False)


@router.get("/openapi.json")
def get_openapi_schema(request: Request) -> JSONResponse:
    """Return the OpenAPI schema of the REST routes."""
    root = request.scope.get(ROOT)
    # Programs that read the schema resolve paths against the host, unless it names a server.
    servers = {"servers": [{"url": root}]} if root else {}
    return JSONResponse(build_openapi(request.app) | servers)


SPEC_EXAMPLE: dict[str, Any] = {
    "name": "first-digits",
    "tags": ["mnist"],
    "seed": 1,
    "dataset": "mnist",
    "latents": {"size": 64},
    "generator": {
        "layers": [
            {"layer": "dense", "size": 784},
            "tanh",
            {"layer": "reshape", "shape": [1, 28, 28]},
        ]
    },
    "discriminator": {"layers": ["flatten", {"layer": "dense", "size": 1}]},
    "iterations": 1000,
}

CLAIM_EXAMPLE: dict[str, Any] = {
    "worker": "gpu-1",
    "devices": ["cpu", "cuda"],
    "provenance": {
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "python": "3.12.4",
        "versions": {"torch": "2.9.0"},
        "device": "NVIDIA A100",
        "hostname": "gpu-1",
    },
}

EVENTS_EXAMPLE: dict[str, Any] = {
    "events": [
        {
            "seq": 0,
            "at": "2026-01-02T03:04:05Z",
            "event": {
                "kind": "metrics_logged",
                "iteration": 10,
                "values": {GENERATOR_LOSS.name: 0.693, DISCRIMINATOR_LOSS.name: "nan"},
            },
        },
        {
            "seq": 1,
            "at": "2026-01-02T03:04:06Z",
            "event": {"kind": "line_logged", "iteration": 10, "level": "info", "text": "Ten iterations done."},
        },
    ]
}

RUN_EXAMPLE: dict[str, Any] = {
    "key": "my-gan-7f3a9c21",
    "name": "my gan",
    "config": {"learning_rate": 0.0002, "batch_size": 64, "seed": 1},
    "tags": ["first"],
    "iterations": 5000,
    "writer": "desk-3 4711",
}

FINISH_EXAMPLE: dict[str, Any] = {"end": "succeeded", "events_count": 2}

CHECK_EXAMPLE: dict[str, Any] = {
    "text": "name: first-digits\ndataset: mnist\niterations: 500\n",
    "changes": {"iterations": 1000},
}
EDIT_EXAMPLE: dict[str, Any] = {"add_tags": ["good"], "remove_tags": ["sweep-1"], "note": "The sharpest so far."}
SHARE_EXAMPLE: dict[str, Any] = {"kind": "run", "targets": ["m7vg"], "expires_in": "7d"}
WORKER_EXAMPLE = {
    "name": "gpu-1",
    "device": "NVIDIA H200",
    "gpus": [
        {"index": 0, "name": "NVIDIA H200", "memory_total": 150754820096, "memory_used": 0, "utilisation": 0.0}
    ],
}
