"""How long the queue is, and how many workers would have something to do: what scales workers asks here."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api import queries
from api.deps import ServicesDep
from api.errors import RequestInvalid
from api.responses import documented
from api.schemas import QueuePart, QueueRead
from api.security import needs

router = APIRouter(tags=["workers"], dependencies=needs("read"))

# More commits than this are not waited for at once by anybody who should be answered in full.
MAX_PINNED = 100


@router.get("/queue", response_model=QueueRead, responses=documented(RequestInvalid))
def get_queue(
    services: ServicesDep,
    commit: Annotated[
        str | None,
        Query(
            pattern=r"^(none|[0-9a-fA-F]{7,40})$",
            description="only jobs pinned to this commit; `none`: only those that any commit may run",
        ),
    ] = None,
) -> Any:
    """Count the jobs that wait for a worker or have one: so many workers are `wanted`."""
    with services.database.read() as session:
        queued = queries.count_states(session).get("queued", 0)
        demand = queries.list_demand(session)
    chosen = queries.choose_demand(demand, commit.lower() if commit else None)
    commits = sorted({part.commit for part in chosen if part.commit})[:MAX_PINNED]
    return QueueRead(
        queued=queued,
        **_add_up(chosen).model_dump(),
        **{needs: _add_up([part for part in chosen if part.needs == needs]) for needs in queries.NEEDS},
        pinned={digits: _add_up([part for part in chosen if part.commit == digits]) for digits in commits},
    )


def _add_up(demand: list[queries.Demand]) -> QueuePart:
    return QueuePart(
        waiting=sum(part.waiting for part in demand),
        running=sum(part.running for part in demand),
        wanted=sum(part.wanted for part in demand),
    )
