"""What a job records: images, numbers, histograms, lines, files."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.server.http.schemas import MediaType, Request, Schema
from ganlib.events import Histogram, MetricValue, Sha256


class SampleRead(Schema):
    """One sample grid of the timeline; `url` gives the PNG."""

    iteration: int
    attempt: int
    sha256: Sha256
    url: str
    rows: int
    columns: int
    cell_width: int
    cell_height: int
    latents_sha256: Sha256
    created_at: datetime


class NeighbourGridRead(SampleRead):
    """The training images nearest to the sample grid of the same iteration, laid out like it."""


class HistogramRead(Histogram):
    """One named distribution at one iteration: 64 equal bins from `low` to `high`."""

    model_config = ConfigDict(extra="ignore")

    name: str
    iteration: int


class CheckpointRead(Schema):
    """A committed checkpoint; `url` gives the safetensors file, null when only its record was kept."""

    iteration: int
    attempt: int
    sha256: Sha256
    size: int
    url: str | None
    created_at: datetime


class LogLineRead(Schema):
    """One log line."""

    at: datetime
    attempt: int
    iteration: int
    level: Literal["info", "warning", "error"]
    text: str


class Curve(Schema):
    """One metric's points, in order of iteration; `wall_seconds` is not kept a point, `iterations` is the axis.

    `total` counts the points that are stored; when fewer are sent, every extreme is among them.
    """

    name: str
    iterations: list[int]
    values: list[MetricValue]
    total: int


class CurvesRead(Schema):
    """The curves of one job, by metric name; `last_event_id` is where a stream goes on without gap or double."""

    curves: list[Curve]
    last_event_id: int


class ArtifactRead(Schema):
    """A stored file."""

    sha256: Sha256
    size: int
    media_type: MediaType
    url: str


class ArtifactsRead(Schema):
    """The files of a bundle, stored; each once, in its order."""

    items: list[ArtifactRead]


class FileHeader(Request):
    """What stands before each file of a bundle: the next `size` bytes are the file's."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0)]
    media_type: MediaType
