"""Schemas of curves and histograms."""

from pydantic import ConfigDict

from api.server.http.schemas import Schema
from ganlib.events import Histogram, MetricValue


class Curve(Schema):
    """One metric's points, in order of iteration.

    `total` counts the stored points; when fewer are sent, every extreme is among them. `times`, with `times=true`:
    when each was logged, in seconds since 1970; null where the service does not know it.
    """

    name: str
    iterations: list[int]
    values: list[MetricValue]
    total: int
    times: list[float | None] | None = None


class CurvesRead(Schema):
    """The curves of one job, by metric name; a stream continues after `last_event_id` without gap or repeat."""

    curves: list[Curve]
    last_event_id: int


class GroupCurve(Curve):
    """The mean of several jobs' curves, in `values`.

    counts: n, how many jobs have come to each iteration. deviations: between these, with n - 1; null for n = 1.
    """

    deviations: list[MetricValue | None]
    counts: list[int]


class GroupCurvesRead(Schema):
    """The mean curves of several jobs, by metric name; `last_event_id`: the newest event in them."""

    curves: list[GroupCurve]
    last_event_id: int


class HistogramRead(Histogram):
    """One named distribution at one iteration: 64 equal bins from `low` to `high`."""

    model_config = ConfigDict(extra="ignore")

    name: str
    iteration: int
