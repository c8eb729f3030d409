"""A timeline as a movie."""

from collections.abc import Sequence
from typing import BinaryIO

from dashboard.figures.frames import Frames
from dashboard.figures.plans import MoviePlan


def write_movie(plan: MoviePlan, files: Sequence[bytes], out: BinaryIO) -> None:
    """Write the movie; frames are made and written one after the other. Raises FigureRefusal."""
    frames = Frames(plan, files, is_even=plan.form == "mp4")
    about = plan.about
    match plan.form:
        case "gif":
            from dashboard.figures.gif import write_gif

            write_gif(frames, plan.fps, about.description, out)
        case "png":
            from dashboard.figures.apng import write_apng

            texts = {"Title": about.title, "Description": about.description, "Software": about.software}
            write_apng(frames, plan.fps, texts, out)
        case "mp4":
            from dashboard.figures.mp4 import write_mp4

            write_mp4(frames, plan.fps, {"title": about.title, "comment": about.description}, out)
