"""The newest grid inside a notebook, drawn anew where it stands; nothing happens anywhere else."""

import base64
import sys
from contextlib import suppress
from html import escape
from typing import Any


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
                self._handle.update(sys.modules["IPython"].display.Image(png))

    def describe(self, name: str, url: str | None, line: str) -> str:
        """Return a few lines of HTML: the run, the way to its page, and the newest grid."""
        link = f'<a href="{escape(url)}">{escape(name)}</a>' if url else escape(name)
        picture = ""
        if self.png is not None:
            encoded = base64.b64encode(self.png).decode()
            picture = f'<br><img style="image-rendering: pixelated" src="data:image/png;base64,{encoded}">'
        return f"<b>{link}</b> <small>{escape(line)}</small>{picture}"
