"""A run as an export writes it: everything that the service has of it, fetched where it is needed."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from api.artifacts.schemas import RunFileRead
from api.client.client import Client
from api.curves.points import Points
from api.curves.schemas import HistogramRead
from api.errors import RequestInvalid
from api.jobs.schemas import JobRead
from api.samples.schemas import CheckpointRead, SampleRead
from ganlib.runtime.files import hash_file
from ganvas.exchange.naming import clean_file_name

_SERIES = "images/"


@dataclass
class ExportedRun:
    """One run of a service. with_files: whether its files and checkpoints go out as well."""

    client: Client
    job: JobRead
    with_files: bool
    curves: dict[str, Points]
    samples: Sequence[SampleRead]
    histograms: dict[str, list[HistogramRead]]
    files: Sequence[RunFileRead]
    checkpoints: Sequence[CheckpointRead] = field(default_factory=list)

    @classmethod
    def fetch(cls, client: Client, run: str, *, with_files: bool) -> "ExportedRun":
        """Ask for everything but the bytes of files."""
        job = client.get(run)
        files = client.files(job.id)
        return cls(
            client=client,
            job=job,
            with_files=with_files,
            curves=_fetch_curves(client, job.id),
            samples=client.samples(job.id),
            histograms=client.histograms(job.id),
            files=files if with_files else [file for file in files if is_picture_of_series(file)],
            checkpoints=[each for each in client.checkpoints(job.id) if each.url] if with_files else [],
        )

    @property
    def folder_name(self) -> str:
        """The name of the run's folder."""
        return name_folder(self.job)

    @property
    def config(self) -> dict[str, Any]:
        """The settings: of a loop of somebody's own its configuration, else the whole spec."""
        return dict(self.job.spec if self.job.origin == "ganlib" else self.job.spec.get("config") or {})

    @property
    def began_at(self) -> datetime:
        """When the run began."""
        return self.job.started_at or self.job.created_at

    def points(self) -> Iterator[tuple[str, int, float, datetime]]:
        """Yield (metric, iteration, value, time), metric by metric."""
        for name, points in self.curves.items():
            for iteration, value, at in zip(points.iterations, points.values, self.times(points), strict=True):
                yield name, iteration, value, at

    def times(self, points: Points) -> Iterator[datetime]:
        """Yield when each point was logged; where that is not known, when the run began."""
        for seconds in points.times or [math.nan] * len(points):
            yield self.began_at if math.isnan(seconds) else datetime.fromtimestamp(seconds, UTC)

    def save(self, sha256: str, path: Path) -> Path:
        """Save a stored file at `path`, unless an export that was broken off has left it there."""
        if not (path.is_file() and hash_file(path) == sha256):
            self.client.download(sha256, path)
        return path

    def read(self, sha256: str) -> bytes:
        """Return the bytes of a stored file."""
        return self.client.read_artifact(sha256)

    def save_grids(self, folder: Path) -> None:
        """Save all sample grids as PNG, by iteration."""
        for sample in self.samples:
            self.save(sample.sha256, folder / f"{sample.iteration:08d}.png")

    def save_files(self, folder: Path) -> None:
        """Save the files under their names, and the checkpoints."""
        for file in self.files:
            self.save(file.sha256, folder / clean_file_name(file.name, 500))
        for checkpoint in self.checkpoints:
            self.save(checkpoint.sha256, folder / "checkpoints" / f"{checkpoint.iteration:08d}.safetensors")

    def describe(self) -> str:
        """Return what the service says of the run, as JSON."""
        return json.dumps(self.job.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"


def _fetch_curves(client: Client, job_id: str) -> dict[str, Points]:
    try:
        return client.curve_columns(job_id, times=True)
    except RequestInvalid:
        # An earlier version of the service, which has no times to give.
        return client.curve_columns(job_id)


def name_folder(job: JobRead) -> str:
    """Return what an export of a run is called: by the run's own name, and its id."""
    plain = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in job.name)
    return f"{plain.strip('._')[:60] or 'run'}-{job.id}"


def is_picture_of_series(file: RunFileRead) -> bool:
    """Return whether the file is a picture that belongs to a series: images/<series>/<iteration>.png."""
    return file.name.startswith(_SERIES) and file.media_type == "image/png" and file.name.count("/") > 1


def series_of(file: RunFileRead) -> str:
    """Return the series of a picture."""
    return file.name.removeprefix(_SERIES).rpartition("/")[0]
