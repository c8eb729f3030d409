"""A whole timeline as the page's scripts read it: in columns, because 1,000 rows would be 300 kB."""

import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from api.queries.timeline import GridRow


def write_timeline(grids: Sequence[GridRow], last_event_id: int) -> bytes:
    """Return the timeline as JSON: one entry for each grid, and one layout for each run of grids that share it.

    files: the 32 bytes of each grid's sha256, one after the other, as base64; quoted digits do not shrink as well.
    """
    layouts = [
        {
            "count": len(list(members)),
            "rows": layout[0],
            "columns": layout[1],
            "cell_width": layout[2],
            "cell_height": layout[3],
            "latents_sha256": layout[4],
        }
        for layout, members in groupby(grids, key=lambda grid: grid.layout)
    ]
    timeline = {
        "iterations": [grid.iteration for grid in grids],
        "files": b64encode(bytes.fromhex("".join(grid.sha256 for grid in grids))).decode(),
        "created": [stamp(grid.created_at) for grid in grids],
        "layouts": layouts,
        "last_event_id": last_event_id,
    }
    return json.dumps(timeline, separators=(",", ":")).encode()


def stamp(moment: datetime) -> float:
    """Return a time in seconds since 1970, to the tenth, as scripts and pages compare it."""
    return round(moment.timestamp(), 1)
