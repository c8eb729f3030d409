"""Schemas of curves and histograms."""

from pydantic import ConfigDict

from api.server.http.schemas import Schema
from ganlib.events import Histogram, MetricValue


class Curve(Schema):
    """One metric's points, in order of iteration.

    `total` counts the stored points; when fewer are sent, every extreme is among them.
    """

    name: str
    iterations: list[int]
    values: list[MetricValue]
    total: int


class CurvesRead(Schema):
    """The curves of one job, by metric name; a stream continues after `last_event_id` without gap or repeat."""

    curves: list[Curve]
    last_event_id: int


class HistogramRead(Histogram):
    """One named distribution at one iteration: 64 equal bins from `low` to `high`."""

    model_config = ConfigDict(extra="ignore")

    name: str
    iteration: int
