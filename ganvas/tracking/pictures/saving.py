"""Saves the pictures of a run, on the writer's thread: what was captured in the loop becomes files and events."""

import json
from functools import partial

from ganvas.tracking.pictures.capture import Captured, Range
from ganvas.tracking.pictures.drawing import Painter, Shape, choose_shape
from ganvas.tracking.pictures.notebook import NotebookView
from ganvas.tracking.pictures.png import encode_png, lay_out
from ganvas.tracking.values import show
from ganvas.tracking.writer import RunWriter, describe_file

PNG = "image/png"


class PictureSaver:
    """Draws and saves pictures of one run, one after the other. view: of the newest grid, in a notebook.

    goes_on: whether the run has grids of an earlier process, of which nothing is known here.
    """

    def __init__(self, writer: RunWriter | None, *, goes_on: bool = False) -> None:
        self.view = NotebookView()
        self._writer = writer
        self._painter = Painter()
        # Of the newest grid's values; None where it may be anything.
        self._not_finite: float | None = None if goes_on else 0.0

    def put_grid(self, captured: Captured, at: int, said: Range | None, shape: Shape, latents: str | None) -> None:
        """Have a sample grid of this iteration saved. latents: sha256 of its cells', None if not known."""
        if self._writer is not None:
            self.view.prepare()
            save = partial(self._save_grid, self._writer, captured, at, said, shape, latents)
            self._writer.put(save, captured.size)

    def put_image(
        self, captured: Captured, at: int, said: Range | None, name: str, most: int | None = None
    ) -> None:
        """Have pictures saved side by side, as one file. most: of more, so many are picked evenly."""
        if self._writer is not None:
            save = partial(self._save_image, self._writer, captured, at, said, name, most)
            self._writer.put(save, captured.size)

    # On the writer's thread.

    def _save_grid(
        self, writer: RunWriter, captured: Captured, at: int, said: Range | None, shape: Shape, latents: str | None
    ) -> None:
        sheet = self._painter.draw_sheet(captured, said, shape)
        for note in sheet.notes:
            writer.note(at, note)
        if sheet.not_finite != self._not_finite:
            # Imported here: a run whose pictures are whole does without.
            from ganlib.vocabulary import NOT_FINITE

            self._not_finite = sheet.not_finite
            values = f'{{"{NOT_FINITE.name}":{show(sheet.not_finite)}}}'
            writer.append(f'{{"kind":"metrics_logged","iteration":{at},"values":{values}}}')
        event = {
            "kind": "sample_grid_saved",
            "iteration": at,
            "rows": sheet.rows,
            "columns": sheet.columns,
            "cell_width": sheet.cell_width,
            "cell_height": sheet.cell_height,
            "latents_sha256": latents,
        }
        writer.save(sheet.png, lambda stored: json.dumps({**event, "file": stored}))
        self.view.show(sheet.png)

    def _save_image(
        self, writer: RunWriter, captured: Captured, at: int, said: Range | None, name: str, most: int | None
    ) -> None:
        notes: list[str] = []
        cells = self._painter.draw_cells(captured, said, notes)
        for note in notes:
            writer.note(at, note)
        if most is not None and cells.count > most:
            cells = cells.pick([index * cells.count // most for index in range(most)])
        rows, columns = choose_shape(cells.count)
        png = encode_png(lay_out(cells, rows, columns))
        writer.save(png, partial(describe_file, at, name, PNG))
