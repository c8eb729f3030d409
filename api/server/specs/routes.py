"""The route that checks a spec and starts nothing."""

from typing import Any

from fastapi import APIRouter

from api.errors import BodyTooLarge, RequestInvalid
from api.server.access.scopes import needs
from api.server.http.bodies import parse_body
from api.server.http.dependencies import RawBody, ServicesDep
from api.server.http.openapi import CHECK_EXAMPLE, request_body
from api.server.http.responses import documented
from api.server.specs import serializers
from api.server.specs.schemas import SpecCheck, SpecReviewRead

router = APIRouter(tags=["specs"], dependencies=needs("user"))


@router.post(
    "/specs/validate",
    response_model=SpecReviewRead,
    responses=documented(RequestInvalid, BodyTooLarge),
    openapi_extra=request_body(SpecCheck, CHECK_EXAMPLE),
)
def validate_spec(raw: RawBody, services: ServicesDep) -> Any:
    """Check a spec's text, set fields in it, and outline its networks; a spec that is wrong is no error.

    The answer holds every problem with its field, each layer's shape and weights as far as they fit, and about how
    long the run would take.
    """
    check = parse_body(SpecCheck, raw)
    with services.database.read() as session:
        return serializers.review_text(session, check.text, check.changes, check.made_from)
