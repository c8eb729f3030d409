"""Figures and movies for papers and talks: plain data in, the bytes of a file out.

The service never imports what draws: `process` starts `python -m dashboard.figures.drawing` for one figure and
reads its file. So an idle service stays small, a leak ends with its process, and no figure can hold the service up.
"""
