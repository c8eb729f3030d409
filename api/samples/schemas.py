"""Schemas of what a job records: sample grids, neighbour grids, checkpoints, log lines."""

from datetime import datetime
from typing import Literal

from api.server.http.schemas import Schema
from ganlib.events import Sha256


class SampleRead(Schema):
    """One sample grid of the timeline; `url` gives the PNG.

    latents_sha256: null where the latents are not known, so that cells of two grids cannot be compared.
    """

    iteration: int
    attempt: int
    sha256: Sha256
    url: str
    rows: int
    columns: int
    cell_width: int
    cell_height: int
    latents_sha256: Sha256 | None
    created_at: datetime


class NeighbourGridRead(SampleRead):
    """The training images nearest to the sample grid of the same iteration, laid out like it."""


class CheckpointRead(Schema):
    """A committed checkpoint; `url` gives the safetensors file, null when only its record was kept.

    is_best: the best judged one of those that are stored: by the Fréchet distance, or else the classifier score.
    """

    iteration: int
    attempt: int
    sha256: Sha256
    size: int
    url: str | None
    created_at: datetime
    is_best: bool = False


class LogLineRead(Schema):
    """One log line."""

    at: datetime
    attempt: int
    iteration: int
    level: Literal["info", "warning", "error"]
    text: str
