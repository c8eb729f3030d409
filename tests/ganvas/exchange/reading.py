"""What an import wrote into a run's folder, in the order in which it stands there."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganlib.events import event_adapter
from ganvas.exchange.records import SourceRun
from ganvas.exchange.sources import open_source
from ganvas.exchange.writing import Imported, choose_timeline, write_run
from ganvas.tracking.folder import RunFolder

FILES = Path(__file__).parent / "files"
STEPS = range(0, 100, 10)


class Written:
    """One run's folder, read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = RunFolder(path)
        self.header, self.end = self.folder.read_header(), self.folder.read_end()
        self.points: dict[str, list[tuple[int, float]]] = {}
        self.grids: dict[int, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.histograms: dict[tuple[str, int], dict[str, Any]] = {}
        self.lines: list[str] = []
        self.moments: list[str] = []
        self.times: dict[str, list[str]] = {}
        for line in self.folder.read_events():
            event_adapter.validate_python(line["event"])
            self.moments.append(line["at"])
            self._add(line["event"], line["at"])

    def _add(self, event: dict[str, Any], at: str) -> None:
        match event["kind"]:
            case "metrics_logged":
                for name, value in event["values"].items():
                    self.points.setdefault(name, []).append((event["iteration"], float(value)))
                    self.times.setdefault(name, []).append(at)
            case "sample_grid_saved":
                self.grids[event["iteration"]] = {**event, "png": self.folder.read_file(event["file"])}
            case "file_saved":
                self.files[event["name"]] = self.folder.read_file(event["file"])
            case "histograms_logged":
                for name, histogram in event["histograms"].items():
                    self.histograms[name, event["iteration"]] = histogram
            case "line_logged":
                self.lines.append(event["text"])

    def cells(self, step: int) -> np.ndarray[Any, Any]:
        """Return the pixels of a grid's cells, uint8 (cells, H, W, C), row by row."""
        grid = self.grids[step]
        pixels = decode(grid["png"])
        rows, columns, height, width = (grid[n] for n in ("rows", "columns", "cell_height", "cell_width"))
        assert pixels.shape[:2] == (rows * height, columns * width)
        return (
            pixels.reshape(rows, height, columns, width, -1)
            .swapaxes(1, 2)
            .reshape(-1, height, width, pixels.shape[2])
        )


def decode(png: bytes) -> np.ndarray[Any, Any]:
    """Return the pixels of an encoded image, uint8 (H, W, C)."""
    with Image.open(io.BytesIO(png)) as image:
        return np.atleast_3d(np.asarray(image))


def draw(step: int, cells: int = 1) -> np.ndarray[Any, Any]:
    """Return the images that the scripts of `files/` drew, uint8 (cells, 8, 8, 3)."""
    return np.random.default_rng(step).integers(0, 256, (cells, 8, 8, 3), dtype=np.uint8)


def import_run(run: SourceRun, path: Path, images: str | None = None) -> tuple[Written, Imported]:
    """Import one run into a folder and read that."""
    imported = write_run(run, path, timeline=choose_timeline(run.image_tags, images))
    return Written(path), imported


def import_all(source: Path, home: Path) -> dict[str, Written]:
    """Import all runs of a path; by name."""
    return {
        run.name: import_run(run, home / str(number))[0] for number, run in enumerate(open_source(str(source)))
    }
