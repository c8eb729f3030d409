"""Pictures as loops have them, tensors and arrays of several layouts and ranges and PIL images, as cells of bytes.

`capture` runs in the loop: it checks the shape and copies. `Captured.draw` runs on the writer's thread.
"""

import ctypes
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from ganvas.tracking.pictures.png import COLOURS, Cells
from ganvas.tracking.values import is_array, is_tensor

Range = tuple[float, float]
MINUS_ONE_TO_ONE, ZERO_TO_ONE, BYTES = (-1.0, 1.0), (0.0, 1.0), (0.0, 255.0)
# What interpolation and rounding leave beyond the ends of a range.
_TOLERANCE = 0.02
MOST_CELL_SIDE = 4096
# How far the gaps of a grid that was compressed are from one colour, as a share of the picture's range.
_GAP_TOLERANCE = 0.06
# Copies that are kept for the next ones: of so many shapes, so many each, none larger than this.
_MOST_KINDS, _MOST_FREE, _MOST_KEPT_BYTES = 4, 2, 16 * 1024 * 1024
# More of a grid makes no timeline that a person could look at.
MOST_CELLS = 4096


@dataclass
class Drawn:
    """Pictures as bytes. found: the least and the greatest value of floats. range: what they were read as.

    not_finite: the share of values that are NaN or infinite.
    """

    cells: Cells
    found: Range | None = None
    range: Range | None = None
    not_finite: float = 0.0


def read_range(given: Any) -> Range:
    """Return a range that was said; raises ValueError."""
    try:
        low, high = (float(end) for end in given)
    except (TypeError, ValueError):
        raise ValueError(
            f"range must be the values of black and white, such as (-1, 1) or (0, 1); not {given!r}."
        ) from None
    if not low < high:
        raise ValueError(f"range must begin below its end, such as (-1, 1); not {given!r}.")
    return low, high


def recognise_range(low: float, high: float, before: Range | None) -> Range:
    """Return the range that floats from `low` to `high` have; one that was found before is only ever widened."""
    if low >= -_TOLERANCE and high > 2.0:
        return BYTES
    if low < -_TOLERANCE or before == MINUS_ONE_TO_ONE:
        return MINUS_ONE_TO_ONE
    return before or ZERO_TO_ONE


def capture(images: Any) -> "Captured":
    """Copy images that a loop hands over; raises TypeError or ValueError with what to do.

    Tensors and arrays: N×C×H×W, N×H×W×C, N×H×W, C×H×W, H×W×C or H×W; else PIL images, or a sequence of any of
    these single pictures.
    """
    if _is_pil(images):
        return Captured(_read_pil([images]), "pil")
    if isinstance(images, (list, tuple)):
        return _capture_sequence(images)
    if is_tensor(images):
        return _capture_tensor(images)
    if not is_array(images) and hasattr(images, "__array__"):
        images = images.__array__()
    if is_array(images):
        layout = _find_layout(tuple(images.shape))
        _check_kind(images.dtype.kind in "fiub", images.dtype)
        return Captured(_copy_array(images), layout)
    raise TypeError(
        f"images must be a tensor, an array, a PIL image or a list of these; not {type(images).__name__}."
    )


class Buffers:
    """Memory for copies, used again: fresh pages cost the loop several times as much as the copy itself."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._free: dict[tuple[Any, ...], list[Any]] = {}

    def take(self, images: Any) -> Any:
        """Return free memory for a copy of these images, None without any."""
        with self._lock:
            free = self._free.get(_describe_buffer(images))
            return free.pop() if free else None

    def give_back(self, buffer: Any) -> None:
        """Take memory back that nobody reads any more."""
        if buffer.nbytes > _MOST_KEPT_BYTES:
            return
        with self._lock:
            if len(self._free) >= _MOST_KINDS:
                self._free.clear()
            free = self._free.setdefault(_describe_buffer(buffer), [])
            if len(free) < _MOST_FREE:
                free.append(buffer)


BUFFERS = Buffers()


def _describe_buffer(images: Any) -> tuple[Any, ...]:
    return (type(images), tuple(images.shape), images.dtype)


@dataclass
class Captured:
    """Images that nothing changes any more; they can be drawn once.

    layout: of `data`, by its dimensions, or `pil` for Cells. ready: a CUDA event after which `data` is complete.
    """

    data: Any
    layout: str
    ready: Any = None

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return int(self.data.count) if self.layout == "pil" else int(self._sides.get("N", 1))

    @property
    def height(self) -> int:
        """Of one picture, in pixels."""
        return int(self.data.height) if self.layout == "pil" else int(self._sides["H"])

    @property
    def width(self) -> int:
        """Of one picture, in pixels."""
        return int(self.data.width) if self.layout == "pil" else int(self._sides["W"])

    @property
    def _sides(self) -> dict[str, int]:
        return dict(zip(self.layout, self.data.shape, strict=True))

    @property
    def size(self) -> int:
        """Bytes that are held."""
        if self.layout == "pil":
            return len(self.data.content)
        return int(self.data.nbytes)

    def has_gaps(self, rows: list[int], columns: list[int]) -> bool:
        """Say whether these lines of one picture are of one colour, as gaps between cells are.

        It waits for the device. A picture that was compressed with losses has gaps of nearly one colour.
        """
        if self.ready is not None:
            self.ready.synchronize()
        if self.layout == "pil":
            most, lines = _GAP_TOLERANCE * 255, _list_lines(self.data, rows, columns)
        else:
            most = _GAP_TOLERANCE * (float(self.data.max()) - float(self.data.min()))
            lines = _index_lines(self.data, self.layout, rows, columns)
        spreads = [float(max_of) - float(min_of) for min_of, max_of in lines]
        # Exactly one colour is enough where the picture holds NaN.
        return all(spread == 0 or spread <= most for spread in spreads)

    def draw(self, said: Range | None = None, before: Range | None = None) -> Drawn:
        """Return the cells; waits for the device. said: the range of floats, else it is recognised."""
        if self.layout == "pil":
            return Drawn(self.data)
        if self.ready is not None:
            self.ready.synchronize()
        array = _to_array(self.data)
        if array is None:
            drawn = _draw_tensor(self.data, self.layout, said, before)
        else:
            drawn = _draw_array(array, self.layout, said, before)
        if self.ready is None:
            BUFFERS.give_back(self.data)
        self.data = None
        return drawn


def _list_lines(picture: Cells, rows: list[int], columns: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the least and the greatest byte of lines of one picture, each channel by itself."""
    step, stride = picture.channels, picture.width * picture.channels
    for channel in range(step):
        parts = [picture.content[row * stride + channel : (row + 1) * stride : step] for row in rows]
        parts += [picture.content[column * step + channel :: stride] for column in columns]
        yield min(map(min, parts)), max(map(max, parts))


def _index_lines(picture: Any, layout: str, rows: list[int], columns: list[int]) -> Iterator[tuple[Any, Any]]:
    """Yield the same of a tensor or an array."""
    channels = range(picture.shape[layout.index("C")]) if "C" in layout else (slice(None),)
    for letter, chosen in (("H", rows), ("W", columns)):
        lines = picture[tuple(chosen if each == letter else slice(None) for each in layout)]
        for channel in channels:
            line = lines[tuple(channel if each == "C" else slice(None) for each in layout)]
            yield line.min(), line.max()


def _capture_tensor(images: Any) -> Captured:
    layout = _find_layout(tuple(images.shape))
    _check_kind(not images.is_complex() and not images.is_quantized, images.dtype)
    images = images.detach()
    if images.device.type == "cpu":
        return Captured(_copy_tensor(images), layout)
    if images.device.type != "cuda":
        return Captured(images.cpu(), layout)
    torch = sys.modules["torch"]
    copy = images.to("cpu", non_blocking=True)
    ready = torch.cuda.Event()
    ready.record(torch.cuda.current_stream(images.device))
    return Captured(copy, layout, ready)


def _copy_tensor(images: Any) -> Any:
    buffer = BUFFERS.take(images)
    return images.clone() if buffer is None else buffer.copy_(images)


def _copy_array(images: Any) -> Any:
    buffer = BUFFERS.take(images)
    if buffer is None:
        return images.copy()
    buffer[...] = images
    return buffer


def _check_kind(is_fit: bool, dtype: Any) -> None:
    if not is_fit:
        raise TypeError(f"images must hold floats, integers or booleans; not {dtype}.")


def _capture_sequence(images: Sequence[Any]) -> Captured:
    if not images:
        raise ValueError("images must hold at least one picture.")
    if all(_is_pil(image) for image in images):
        _check_sizes([image.size for image in images])
        return Captured(_read_pil(images), "pil")
    if all(is_tensor(image) for image in images):
        _check_sizes([tuple(image.shape) for image in images])
        return _capture_tensor(sys.modules["torch"].stack([image.detach() for image in images]))
    if all(is_array(image) for image in images):
        _check_sizes([tuple(image.shape) for image in images])
        return capture(sys.modules["numpy"].stack(images))
    raise TypeError(f"a list of images must hold tensors, arrays or PIL images; not {type(images[0]).__name__}.")


def _check_sizes(shapes: list[tuple[int, ...]]) -> None:
    if len(set(shapes)) > 1:
        raise ValueError("the pictures of one grid must have one size; resize them first.")


def _find_layout(shape: tuple[int, ...]) -> str:
    """Return the letters of the dimensions; raises ValueError."""
    layout = ""
    if len(shape) == 4:
        layout = "NCHW" if shape[1] in COLOURS else "NHWC" if shape[3] in COLOURS else ""
    elif len(shape) == 3:
        # Four grey pictures are more usual than one of four channels that come first.
        layout = "CHW" if shape[0] in (1, 3) else "HWC" if shape[2] in COLOURS else "NHW"
    elif len(shape) == 2:
        layout = "HW"
    if not layout or 0 in shape:
        raise ValueError(
            f"images of shape {' × '.join(map(str, shape)) or '()'} cannot be drawn; hand over N×C×H×W, N×H×W×C "
            "or N×H×W with 1, 3 or 4 channels."
        )
    sides = dict(zip(layout, shape, strict=True))
    if max(sides["H"], sides["W"]) > MOST_CELL_SIDE or sides.get("N", 1) > MOST_CELLS:
        raise ValueError(
            f"images of shape {' × '.join(map(str, shape))} are too many or too large: at most {MOST_CELLS:,} of "
            f"{MOST_CELL_SIDE:,} pixels a side."
        )
    return layout


def _to_array(data: Any) -> Any:
    """Return a tensor on the CPU as an array that shares its memory; None for PyTorch without NumPy."""
    if not is_tensor(data):
        return data
    try:
        data = data.float() if data.is_floating_point() and data.element_size() == 2 else data
        return data.numpy()
    except RuntimeError:
        return None


def _axes(layout: str) -> tuple[str, tuple[int, ...]]:
    """Return the layout with all four letters, and the order that makes it NHWC."""
    whole = layout if "N" in layout else "N" + layout
    whole = whole if "C" in whole else whole + "C"
    return whole, tuple(whole.index(letter) for letter in "NHWC")


def _draw_array(array: Any, layout: str, said: Range | None, before: Range | None) -> Drawn:
    numpy = sys.modules["numpy"]
    array = array[None] if "N" not in layout else array
    array = array[..., None] if "C" not in layout else array
    found = span = None
    share = 0.0
    if array.dtype.kind == "f":
        finite = array[numpy.isfinite(array)]
        share = 1 - finite.size / array.size
        found = (float(finite.min()), float(finite.max())) if finite.size else ZERO_TO_ONE
        span = said or recognise_range(*found, before)
        scaled = (array.astype(numpy.float32, copy=False) - span[0]) * (255 / (span[1] - span[0]))
        array = numpy.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0).round().clip(0, 255)
    elif array.dtype.kind == "b":
        array = array * 255
    elif array.dtype.kind != "u" or array.dtype.itemsize > 1:
        array = array.clip(0, 255)
    _, order = _axes(layout)
    cells = numpy.ascontiguousarray(array.astype(numpy.uint8, copy=False).transpose(order))
    count, height, width, channels = cells.shape
    return Drawn(Cells(count, height, width, channels, cells.tobytes()), found, span, share)


def _draw_tensor(images: Any, layout: str, said: Range | None, before: Range | None) -> Drawn:
    """Draw as `_draw_array` does, for PyTorch without NumPy."""
    torch = sys.modules["torch"]
    images = images[None] if "N" not in layout else images
    images = images[..., None] if "C" not in layout else images
    found = span = None
    share = 0.0
    if images.is_floating_point():
        images = images.float()
        finite = images[images.isfinite()]
        share = 1 - finite.numel() / images.numel()
        found = (float(finite.min()), float(finite.max())) if finite.numel() else ZERO_TO_ONE
        span = said or recognise_range(*found, before)
        scaled = images.sub(span[0]).mul(255 / (span[1] - span[0]))
        images = scaled.nan_to_num(0.0, 255.0, 0.0).round().clamp(0, 255)
    elif images.dtype == torch.bool:
        images = images.to(torch.uint8) * 255
    else:
        images = images.clamp(0, 255)
    cells = images.to(torch.uint8).permute(_axes(layout)[1]).contiguous()
    count, height, width, channels = cells.shape
    content = ctypes.string_at(cells.data_ptr(), cells.numel())
    return Drawn(Cells(count, height, width, channels, content), found, span, share)


def _is_pil(image: Any) -> bool:
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def _read_pil(images: Sequence[Any]) -> Cells:
    """Return PIL images of one size, all as grey, RGB or RGBA, whichever holds every one of them."""
    channels = max(_count_channels(image) for image in images)
    width, height = images[0].size
    if max(width, height) > MOST_CELL_SIDE:
        raise ValueError(
            f"a picture may have at most {MOST_CELL_SIDE:,} pixels a side; this has {width} × {height}."
        )
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    content = b"".join(image.convert(mode).tobytes() for image in images)
    return Cells(len(images), height, width, channels, content)


def _count_channels(image: Any) -> int:
    if "A" in image.getbands() or "transparency" in image.info:
        return 4
    return 1 if image.mode in ("1", "L", "I;16", "I", "F") else 3
