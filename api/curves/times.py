"""Times of points: the log of events has the time of each, which chunks of curves leave out."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from math import nan

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.curves.columns import StoredCurve
from api.events.log import unpack_body
from api.server.database.models import EventBatch

_BATCHES_AT_ONCE = 50

# By metric: iterations, and their times in seconds since 1970, as they were logged.
_Logged = dict[str, tuple["array[int]", "array[float]"]]


def add_times(
    session: Session, job_id: str, names: Iterable[str], curves: Iterable[StoredCurve]
) -> Iterator[StoredCurve]:
    """Yield the curves with the time of each point, NaN where the log has none; names: those of the curves."""
    logged = _read_logged(session, job_id, frozenset(names))
    for curve in curves:
        # Of an iteration that was logged several times the last value counts, and so does its time.
        times = dict(zip(*logged.pop(curve.name, ((), ())), strict=True))
        found = array("d", (times.get(each, nan) for each in curve.points.iterations))
        yield replace(curve, points=replace(curve.points, times=found))


def _read_logged(session: Session, job_id: str, names: frozenset[str]) -> _Logged:
    logged: _Logged = {name: (array("q"), array("d")) for name in names}
    query = select(EventBatch.body).where(EventBatch.job_id == job_id, EventBatch.first_seq.is_not(None))
    query = query.order_by(EventBatch.id).execution_options(yield_per=_BATCHES_AT_ONCE)
    for body in session.scalars(query):
        for item in unpack_body(body):
            event = item["event"]
            if event["kind"] != "metrics_logged":
                continue
            at = datetime.fromisoformat(item["at"]).timestamp()
            for name in names & event["values"].keys():
                iterations, times = logged[name]
                iterations.append(event["iteration"])
                times.append(at)
    return logged
