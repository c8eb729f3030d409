"""The process that draws one figure: `python -m dashboard.figures.drawing < request > file`.

Status 3 means that the figure was refused; the error output is then JSON with the reason.
"""

import json
import os
import resource
import sys
from collections.abc import Sequence
from typing import BinaryIO, overload

from dashboard.figures.drawing.plans import (
    PLAN,
    CurvesPlan,
    FigureOversize,
    FigureRefusal,
    HeatMapsPlan,
    MoviePlan,
    Plan,
    TimelinesPlan,
)
from dashboard.figures.drawing.process import COMPUTING_SECONDS, REFUSED, read_request

NICENESS = 3


class Files(Sequence[bytes]):
    """The files that came with the plan, each read on demand."""

    def __init__(self, file: BinaryIO, offsets: list[tuple[int, int]]) -> None:
        self._file, self._offsets = file, offsets

    def __len__(self) -> int:
        return len(self._offsets)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        start, size = self._offsets[index]
        self._file.seek(start)
        return self._file.read(size)


def main() -> int:
    """Draw the figure that the standard input describes."""
    # Pages have priority over figures.
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CPU, (COMPUTING_SECONDS, COMPUTING_SECONDS + 5))
    plan, offsets = read_request(sys.stdin.buffer)
    try:
        draw(PLAN.validate_json(plan), Files(sys.stdin.buffer, offsets), sys.stdout.buffer)
    except FigureRefusal as refusal:
        reason = {"message": str(refusal), "is_too_large": isinstance(refusal, FigureOversize)}
        sys.stderr.write(json.dumps(reason))
        return REFUSED
    sys.stdout.buffer.flush()
    return 0


def draw(plan: Plan, files: Sequence[bytes], out: BinaryIO) -> None:
    """Draw any figure; import only the modules that it needs."""
    match plan:
        case TimelinesPlan():
            from dashboard.figures.drawing.timelines import draw_timelines

            draw_timelines(plan, files, out)
        case CurvesPlan():
            from dashboard.figures.drawing.curves import draw_curves

            draw_curves(plan, files, out)
        case HeatMapsPlan():
            from dashboard.figures.drawing.heat_maps import draw_heat_maps

            draw_heat_maps(plan, files, out)
        case MoviePlan():
            from dashboard.figures.drawing.movies import write_movie

            write_movie(plan, files, out)


if __name__ == "__main__":
    sys.exit(main())
