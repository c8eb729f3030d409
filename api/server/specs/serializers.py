"""The check of a spec's text, for the route and for the form of the dashboard."""

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from api.server.database.models import Job
from api.server.specs.estimate import estimate
from api.server.specs.queries import find_pace
from api.server.specs.schemas import EstimateRead, LayerRead, NetworkRead, ProblemRead, SpecReviewRead
from ganlib.errors import Problem, SpecInvalid
from ganlib.spec.checks.networks import NetworkOutline
from ganlib.spec.documents.differences import propose_name
from ganlib.spec.files import change_text, read_spec_text
from ganlib.spec.parse import review_spec


def review_text(
    session: Session, text: str, changes: Mapping[str, Any], made_from: str | None = None
) -> SpecReviewRead:
    """Return what the text says with the changes, and what is wrong with it; no text is refused."""
    try:
        data = read_spec_text(text, "")
    except SpecInvalid as error:
        problems = list(map(_problem, error.problems))
        return SpecReviewRead(is_valid=False, text=text, data=None, problems=problems, networks=[], estimate=None)
    refusals, refused = list[ProblemRead](), list[str]()
    for path, value in changes.items():
        try:
            text, data = change_text(text, data, {path: value})
        except SpecInvalid as error:
            refusals += [_problem(problem) for problem in error.problems]
            refused.append(path)
    review = review_spec(data)
    before = session.get(Job, made_from) if made_from and review.spec else None
    said = estimate(review, find_pace(session, review.spec) if review.spec else None)
    return SpecReviewRead(
        is_valid=review.spec is not None and not refusals,
        text=text,
        refused=refused,
        data=_storable(data) if review.spec is None else review.spec.model_dump(mode="json"),
        name=propose_name(before.spec, review.spec.model_dump(mode="json")) if before and review.spec else "",
        problems=[*refusals, *map(_problem, review.problems)],
        networks=list(map(_network, review.networks)),
        estimate=None if said is None or refusals else EstimateRead.model_validate(said),
    )


def _problem(problem: Problem) -> ProblemRead:
    return ProblemRead(field=problem.field, given=problem.given, message=problem.message)


def _network(outline: NetworkOutline) -> NetworkRead:
    layers = [
        LayerRead(
            layer=_storable(written),
            shape=None if layer.shape is None else list(layer.shape),
            parameters=layer.parameters,
            problem=layer.problem,
        )
        for written, layer in zip(outline.written, outline.layers, strict=True)
    ]
    return NetworkRead(
        player=outline.player,
        preset=outline.preset,
        given=None if outline.given is None else list(outline.given),
        expected=None if outline.expected is None else list(outline.expected),
        meaning=outline.meaning,
        layers=layers,
        parameters=outline.parameters,
        problem=None if outline.problem is None else _problem(outline.problem),
    )


def _storable(value: Any) -> Any:
    """Return what was given as JSON has it: it knows no NaN and no infinities."""
    if isinstance(value, dict):
        return {str(key): _storable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_storable(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
