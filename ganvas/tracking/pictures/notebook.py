"""The newest grid inside a notebook, drawn anew where it stands; nothing happens anywhere else."""

import base64
import sys
from contextlib import suppress
from html import escape
from typing import Any

# Pictures are shown at least about as wide, in pixels of the page.
LEAST_WIDTH = 448


class NotebookView:
    """One picture of a run below the cell that made its first grid.

    png: the newest grid, None before the first.
    """

    def __init__(self) -> None:
        self.png: bytes | None = None
        self._handle: Any = None
        self._is_prepared = False

    def prepare(self) -> None:
        """Make the place for the picture, once, in the cell that runs."""
        if self._is_prepared:
            return
        self._is_prepared = True
        # Not where IPython runs in a terminal, which shows no pictures.
        ipython = sys.modules.get("IPython")
        shell = ipython.get_ipython() if ipython is not None else None
        if ipython is not None and getattr(shell, "kernel", None) is not None:
            with suppress(Exception):
                self._handle = ipython.display.display(ipython.display.HTML(""), display_id=True)

    def show(self, png: bytes) -> None:
        """Draw the newest grid."""
        self.png = png
        if self._handle is not None:
            with suppress(Exception):
                self._handle.update(sys.modules["IPython"].display.HTML(_draw(png)))

    def describe(self, name: str, url: str | None, line: str) -> str:
        """Return a few lines of HTML: the run, the way to its page, and the newest grid."""
        link = f'<a href="{escape(url)}">{escape(name)}</a>' if url else escape(name)
        picture = f"<br>{_draw(self.png)}" if self.png is not None else ""
        return f"<b>{link}</b> <small>{escape(line)}</small>{picture}"


def _draw(png: bytes) -> str:
    """Return a picture as HTML, enlarged without blurring where it is small."""
    width = int.from_bytes(png[16:20], "big")
    shown = width * max(1, LEAST_WIDTH // width)
    encoded = base64.b64encode(png).decode()
    return f'<img width="{shown}" style="image-rendering: pixelated" src="data:image/png;base64,{encoded}">'
