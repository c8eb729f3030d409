"""Draws the timeline that the list shows while there is no run: some cells of a real run's grids, side by side.

`python -m tests.dashboard.runs.sample URL RUN`, of a service that has trained the recipe `first-light` with
`iterations=600`. The page says what the picture shows, so both are changed together.
"""

import io
import sys

from PIL import Image

from api.client.client import Client
from dashboard.web.static_files import ROOT

SHEET = ROOT / "static/sample-timeline.png"
ITERATIONS = (0, 25, 50, 100, 200, 300, 450, 600)
CELLS, GAP, SHADES = 4, 4, 16


def main(url: str, run: str) -> None:
    """Write the picture."""
    client = Client(url)
    grids = {sample.iteration: sample for sample in client.samples(run)}
    frames = []
    for iteration in ITERATIONS:
        sample = grids[iteration]
        with Image.open(io.BytesIO(client.read_artifact(sample.sha256))) as grid:
            frames.append(grid.convert("L").crop((0, 0, CELLS * sample.cell_width, CELLS * sample.cell_height)))
    width, height = frames[0].size
    sheet = Image.new("L", (len(frames) * (width + GAP) - GAP, height))
    for place, frame in enumerate(frames):
        sheet.paste(frame, (place * (width + GAP), 0))
    sheet.quantize(SHADES).save(SHEET, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
