"""The OpenAPI schema of the routes; the dashboard shows it as a page."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from api.openapi import build_openapi
from api.security import needs

router = APIRouter(dependencies=needs("read"), include_in_schema=False)


@router.get("/openapi.json")
def get_openapi_schema(request: Request) -> JSONResponse:
    """Return the OpenAPI schema of the REST routes."""
    return JSONResponse(build_openapi(request.app))
