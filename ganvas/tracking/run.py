"""A run of anybody's own loop: numbers, pictures and files, written to a folder without holding the loop up.

Nothing that goes wrong with Ganvas, the disk or the network ends the loop; arguments that are wrong raise at once.
"""

import json
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from ganlib.spec.storable import replace_unstorable
from ganvas.tracking.pictures.capture import Range, capture, read_range
from ganvas.tracking.pictures.drawing import Shape, read_shape
from ganvas.tracking.pictures.saving import PNG, PictureSaver
from ganvas.tracking.tensors import DeviceScalars, FixedLatents, encode_latents, encode_state, is_state
from ganvas.tracking.values import (
    MOST_VALUES,
    MetricsEncoder,
    check_file_name,
    check_name,
    chunk,
    copy_numbers,
    count_bins,
    list_files,
    read_step,
)
from ganvas.tracking.writer import RunWriter, describe_file

End = Literal["succeeded", "failed", "cancelled"]
# Real images that samples are compared with.
MOST_REAL = 128
REAL_NAME = "images/real/00000000.png"
_BYTES = "application/octet-stream"
_DRAIN_SECONDS, _HURRIED_SECONDS = 60.0, 1.0
_TAIL_CHARACTERS = 16_000


class Run:
    """One run; made by `ganvas.init`. Threads may share it.

    name, key, folder: as the run has them. url: of its page, None without a service. step: the newest one.
    In a process that records nothing (another rank than 0, mode "disabled", a forked child) `folder` is None, and
    all calls do nothing. `with` closes the run: an exception ends it as failed.
    """

    def __init__(self, name: str, key: str, writer: RunWriter | None, step: int = -1) -> None:
        self.name = name
        self.key = key
        self.folder: Path | None = writer.folder.path if writer else None
        self.step = step
        self.end: End | None = None
        # The same as the folder has it, with the reason.
        self.ended: dict[str, Any] | None = None
        # Set by what opens the run: called once, when it has ended.
        self.on_close: Callable[[], None] = lambda: None
        # The same, in a forked child.
        self.on_fork: Callable[[], None] = lambda: None
        # Waits until it is known whether a service has the run, a few seconds at most.
        self.on_first_url: Callable[[], None] = lambda: None
        self.known_url: str | None = None
        self._writer = writer
        self._metrics = MetricsEncoder()
        self._said_range: Range | None = None
        self._shapes: set[tuple[int, ...]] = set()
        self._latents = FixedLatents()
        self._warned: set[str] = set()
        self._pictures = PictureSaver(writer, goes_on=step >= 0)
        self._is_told = False
        self._stop_asked = False

    @property
    def url(self) -> str | None:
        """The address of the run's page; right after `ganvas.init` this waits for the service, 5 s at most."""
        if self.known_url is None:
            self.on_first_url()
        return self.known_url

    # What a loop hands over.

    def log(self, values: Mapping[str, Any], step: Any = None) -> None:
        """Log numbers of one step: floats, integers, tensors and arrays of one value; NaN and infinities too.

        step: the loop's counter; without it, one more than the newest. A later value of a name and step takes the
        place of an earlier one. Raises TypeError or ValueError for what is no number.
        """
        writer = self._writer
        if writer is None:
            self._tell_ended()
            return
        if type(values) is not dict and not isinstance(values, Mapping):
            raise TypeError(
                f'log takes names and numbers, such as {{"loss_G": 0.7}}; not {type(values).__name__}.'
            )
        parts, on_device = self._metrics.encode(values)
        at = self._take_step(step, 1)
        if 0 < len(parts) <= MOST_VALUES:
            writer.append(f'{{"kind":"metrics_logged","iteration":{at},"values":{{{",".join(parts)}}}}}')
        elif parts:
            self._log_parts(at, parts)
        if on_device:
            writer.put(partial(self._log_scalars, at, DeviceScalars(on_device)), 0)

    def grid(
        self,
        images: Any,
        step: Any = None,
        *,
        range: Any = None,  # noqa: A002
        rows: int | None = None,
        columns: int | None = None,
        padding: int | None = None,
    ) -> None:
        """Save a sample grid: one frame of the run's timeline.

        images: a tensor or array N×C×H×W, N×H×W×C, N×H×W or one picture, uint8 or floats; or PIL images.
        range: the floats of black and white, (-1, 1), (0, 1) or (0, 255); said once it holds for later pictures.
        Without it, it is recognised, and the run's log says as what. rows, columns: of the grid; with a single
        picture, of the cells that it holds already, `padding` pixels apart.
        """
        if self._writer is None:
            self._tell_ended()
            return
        said = self._read_range(range)
        captured = capture(images)
        shape = read_shape(captured, rows, columns, padding, self._shapes)
        at = self._take_step(step, 0)
        self._pictures.put_grid(captured, at, said, shape, self._find_latents(captured.count, shape))

    def image(self, key: str, image: Any, step: Any = None, *, range: Any = None) -> None:  # noqa: A002
        """Save one picture, or several side by side, of the series `key`: `images/<key>/<step>.png`."""
        if self._writer is None:
            self._tell_ended()
            return
        check_file_name(key)
        said = self._read_range(range)
        captured = capture(image)
        at = self._take_step(step, 0)
        self._pictures.put_image(captured, at, said, f"images/{key}/{at:08d}.png")

    def real(self, images: Any, *, range: Any = None) -> None:  # noqa: A002
        """Hand over real images (some hundred are best), with which the diversity of samples is compared."""
        if self._writer is None:
            self._tell_ended()
            return
        said = self._read_range(range)
        captured = capture(images)
        self._pictures.put_image(captured, max(self.step, 0), said, REAL_NAME, MOST_REAL)

    def latents(self, latents: Any, labels: Any = None) -> None:
        """Say which latents (N, L) all later grids are made from, so that a cell is the same latent all along.

        N is the count of a grid's cells, row by row. Cells of a grid of another count, and of grids from before,
        are not compared. Raises TypeError or ValueError.
        """
        writer = self._writer
        if writer is None:
            self._tell_ended()
            return
        content, count, size = encode_latents(latents, labels)
        try:
            stored = writer.folder.add_file(content)
        except OSError as error:
            self._say(f"the latents are not kept with the run: {error.strerror or error}.")
            return
        if self._latents.sha256 not in (None, stored["sha256"]):
            writer.note(
                max(self.step, 0),
                "The fixed latents are others from here on: cells are compared with later ones alone.",
            )
        self._latents = FixedLatents(stored["sha256"], count)
        writer.append(json.dumps({"kind": "latents_fixed", "file": stored, "count": count, "latent_size": size}))

    def histogram(self, name: str, values: Any, step: Any = None) -> None:
        """Save how many values of any shape lie where, in 64 bins."""
        if self._writer is None:
            self._tell_ended()
            return
        check_name(name, "a histogram's name")
        copied = copy_numbers(values)
        at = self._take_step(step, 0)
        self._writer.put(partial(self._save_histogram, name, copied, at), getattr(copied, "nbytes", 0))

    def file(self, path: "str | Path", name: str | None = None, step: Any = None) -> None:
        """Keep a file as it is now, or all files of a folder, under a relative name; a later one replaces it.

        Raises FileNotFoundError, or OSError for a file that cannot be read.
        """
        if self._writer is None:
            self._tell_ended()
            return
        files = list_files(Path(path), name, self._writer.folder.path)
        at = self._take_step(step, 0)
        for file, kept in files:
            media_type = PNG if file.suffix.lower() == ".png" else _BYTES
            self._writer.save_copy(file, partial(describe_file, at, kept, media_type))

    def checkpoint(self, checkpoint: Any, step: Any = None) -> None:
        """Keep a checkpoint as `checkpoints/<step>.pt`: a file's path, or a state dict, written as it is now.

        Raises FileNotFoundError, OSError or TypeError.
        """
        writer = self._writer
        if writer is None:
            self._tell_ended()
            return
        at = self._take_step(step, 0)
        if isinstance(checkpoint, (str, Path)):
            source = Path(checkpoint)
            self.file(source, f"checkpoints/{at:06d}{source.suffix or '.pt'}", at)
        elif is_state(checkpoint):
            name = f"checkpoints/{at:06d}.pt"
            content = encode_state(checkpoint)
            writer.put(partial(writer.save, content, partial(describe_file, at, name, _BYTES)), len(content))
        else:
            raise TypeError(
                "checkpoint takes a file's path or a state dict, such as generator.state_dict(); "
                f"not {type(checkpoint).__name__}."
            )

    def note(self, text: str) -> None:
        """Write a line for people into the run's log."""
        if self._writer is None:
            self._tell_ended()
            return
        if not isinstance(text, str):
            raise TypeError(f"note takes text; not {text!r:.60}.")
        self._writer.note(max(self.step, 0), text)

    def should_stop(self) -> bool:
        """Say whether somebody asked the service to cancel this run; a loop that asks can end in order."""
        return self._stop_asked

    # The run's end.

    def close(self, end: End = "succeeded", message: str = "", *, log_tail: str = "", code: str = "") -> None:
        """End the run; what was logged is delivered for some seconds, and goes on by itself after that.

        message: why, for one that failed or was cancelled. A second call does nothing.
        """
        if self._writer is None:
            return
        if end not in ("succeeded", "failed", "cancelled"):
            raise ValueError(f'end must be "succeeded", "failed" or "cancelled"; not {end!r}.')
        reason = _make_reason(code or f"loop_{end}", message or end, log_tail) if message or code else None
        self._end(end, reason)
        self.on_close()

    def close_with(self, error: BaseException | None) -> None:
        """End the run as this exception says, or as succeeded without one."""
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.close()
        elif isinstance(error, KeyboardInterrupt):
            self.close("cancelled", "Stopped by Ctrl-C.", code="interrupted")
        else:
            tail = "".join(traceback.format_exception(error))[-_TAIL_CHARACTERS:]
            self.close("failed", _describe_error(error), log_tail=tail, code="loop_failed")

    def end_by_signal(self, name: str) -> None:
        """Write down that a signal ended the process; takes no lock that the interrupted loop may hold."""
        if self._writer is not None:
            self._writer.drain(_HURRIED_SECONDS)
            self._writer.folder.end(
                "failed", _make_reason("process_ended", f"The process was ended by {name}.", "")
            )

    def leave_to_parent(self) -> None:
        """Do nothing any more, in a forked child: the parent goes on."""
        if self._writer is not None:
            self._writer.folder.leave_to_parent()
            self._writer = self.folder = None
            self.on_fork()

    def stop(self) -> None:
        """Let `should_stop` say so from now on."""
        self._stop_asked = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_with(error)

    # What people see.

    def __repr__(self) -> str:
        place = self.known_url or self.folder or "records nothing"
        return f"<ganvas run {self.name!r}: {self.end or f'step {max(self.step, 0):,}'}, {place}>"

    def _repr_png_(self) -> bytes | None:
        return self._pictures.view.png

    def _repr_html_(self) -> str:
        return self._pictures.view.describe(self.name, self.known_url, repr(self))

    # On the writer's thread.

    def _save_histogram(self, name: str, values: Any, at: int) -> None:
        event = {"kind": "histograms_logged", "iteration": at, "histograms": {name: count_bins(values)}}
        self.append(json.dumps(event))

    def _log_scalars(self, at: int, scalars: DeviceScalars) -> None:
        self._log_parts(at, scalars.encode())

    def _log_parts(self, at: int, parts: list[str]) -> None:
        for texts in chunk(parts):
            self.append(f'{{"kind":"metrics_logged","iteration":{at},"values":{texts}}}')

    # Helpers.

    def append(self, text: str) -> None:
        """Write one event, given as JSON."""
        if self._writer is not None:
            self._writer.append(text)

    def _read_range(self, given: Any) -> Range | None:
        if given is not None:
            self._said_range = read_range(given)
        return self._said_range

    def _find_latents(self, count: int, shape: Shape) -> str | None:
        """Return which latents a grid's cells are of; None, with a warning, where these are more or fewer."""
        # The last row of a picture that holds a grid may end early.
        most = count if shape.gap is None else shape.rows * shape.columns
        least = count if shape.gap is None else most - shape.columns + 1
        found = self._latents.find_for(least, most)
        if found is None and self._latents.sha256 is not None:
            self._warn(
                f"There are {self._latents.count:,} fixed latents and a grid of {most:,} cells: its cells are not "
                "compared. run.latents(z) takes those of all cells of a grid."
            )
        return found

    def _warn(self, text: str) -> None:
        """Say this once, also in the run's log."""
        if text not in self._warned and self._writer is not None:
            self._warned.add(text)
            self._writer.note(max(self.step, 0), text)
            self._say(text)

    def _take_step(self, step: Any, advance: int) -> int:
        if step is None and not advance:
            return max(self.step, 0)
        at = self.step + advance if step is None else read_step(step)
        self.step = max(self.step, at)
        return at

    def _end(self, end: End, reason: dict[str, str] | None) -> None:
        writer = self._writer
        if writer is None:
            return
        self.end = end
        writer.close(_DRAIN_SECONDS)
        self._writer = None
        self.ended = {"end": end, "reason": reason, "ended_at": writer.folder.read_clock()}
        try:
            writer.folder.end(end, reason, self.ended["ended_at"])
        except OSError as error:
            self._say(f"the end of the run could not be written: {error.strerror or error}.")
        writer.folder.close()

    def _tell_ended(self) -> None:
        """Say once that a run which has ended records nothing more."""
        if self.end is not None and not self._is_told:
            self._is_told = True
            self._say("the run has ended; what is logged now is not recorded.")

    def _say(self, text: str) -> None:
        print(f"ganvas: {self.name}: {text}", file=sys.stderr, flush=True)


def _describe_error(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        is_status = isinstance(error.code, int)
        return f"The script exited with status {error.code}." if is_status else f"The script exited: {error.code}"
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _make_reason(code: str, message: str, log_tail: str) -> dict[str, str]:
    reason = {"code": code, "message": replace_unstorable(message)[:4000]}
    return reason | ({"log_tail": replace_unstorable(log_tail)} if log_tail else {})
