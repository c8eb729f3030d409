"""Pictures as loops have them, tensors and arrays of several layouts and ranges and PIL images, as cells of bytes.

`capture` runs in the loop: it checks the shape and copies. `Captured.draw` runs on the writer's thread.
"""

import ctypes
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganvas.tracking.pictures.png import COLOURS, Pixels
from ganvas.tracking.values import is_array, is_tensor

Range = tuple[float, float]
MINUS_ONE_TO_ONE, ZERO_TO_ONE, BYTES = (-1.0, 1.0), (0.0, 1.0), (0.0, 255.0)
# What interpolation and rounding leave beyond the ends of a range.
_TOLERANCE = 0.02
MOST_CELL_SIDE = 4096
# More of a grid makes no timeline that a person could look at.
MOST_CELLS = 4096


@dataclass
class Drawn:
    """Cells as bytes. found: the least and the greatest value of floats. range: what they were read as."""

    cells: list[Pixels]
    found: Range | None = None
    range: Range | None = None


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
        return Captured([_read_pil(images)], "pil")
    if isinstance(images, (list, tuple)):
        return _capture_sequence(images)
    if is_tensor(images):
        return _capture_tensor(images)
    if not is_array(images) and hasattr(images, "__array__"):
        images = images.__array__()
    if is_array(images):
        layout = _find_layout(tuple(images.shape))
        _check_kind(images.dtype.kind in "fiub", images.dtype)
        return Captured(images.copy(), layout)
    raise TypeError(
        f"images must be a tensor, an array, a PIL image or a list of these; not {type(images).__name__}."
    )


@dataclass
class Captured:
    """Images that nothing changes any more. layout: of `data`, by its dimensions, or `pil` for a list of Pixels.

    ready: a CUDA event after which `data` is complete.
    """

    data: Any
    layout: str
    ready: Any = None

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return len(self.data) if self.layout == "pil" else int(self._sides.get("N", 1))

    @property
    def height(self) -> int:
        """Of one picture, in pixels."""
        return self.data[0].height if self.layout == "pil" else int(self._sides["H"])

    @property
    def width(self) -> int:
        """Of one picture, in pixels."""
        return self.data[0].width if self.layout == "pil" else int(self._sides["W"])

    @property
    def _sides(self) -> dict[str, int]:
        return dict(zip(self.layout, self.data.shape, strict=True))

    @property
    def size(self) -> int:
        """Bytes that are held."""
        if self.layout == "pil":
            return sum(len(pixels.content) for pixels in self.data)
        return int(self.data.nbytes)

    def draw(self, said: Range | None = None, before: Range | None = None) -> Drawn:
        """Return the cells; waits for the device. said: the range of floats, else it is recognised."""
        if self.layout == "pil":
            return Drawn(self.data)
        if self.ready is not None:
            self.ready.synchronize()
        array = _to_array(self.data)
        if array is None:
            return _draw_tensor(self.data, self.layout, said, before)
        return _draw_array(array, self.layout, said, before)


def _capture_tensor(images: Any) -> Captured:
    layout = _find_layout(tuple(images.shape))
    _check_kind(not images.is_complex() and not images.is_quantized, images.dtype)
    images = images.detach()
    if images.device.type == "cpu":
        return Captured(images.clone(), layout)
    if images.device.type != "cuda":
        return Captured(images.cpu(), layout)
    torch = sys.modules["torch"]
    copy = images.to("cpu", non_blocking=True)
    ready = torch.cuda.Event()
    ready.record(torch.cuda.current_stream(images.device))
    return Captured(copy, layout, ready)


def _check_kind(is_fit: bool, dtype: Any) -> None:
    if not is_fit:
        raise TypeError(f"images must hold floats, integers or booleans; not {dtype}.")


def _capture_sequence(images: Sequence[Any]) -> Captured:
    if not images:
        raise ValueError("images must hold at least one picture.")
    if all(_is_pil(image) for image in images):
        cells = [_read_pil(image) for image in images]
        if len({(cell.height, cell.width) for cell in cells}) > 1:
            raise ValueError("the pictures of one grid must have one size; resize them first.")
        channels = max(cell.channels for cell in cells)
        return Captured([_read_pil(image, channels) for image in images], "pil")
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
    if array.dtype.kind == "f":
        finite = array[numpy.isfinite(array)]
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
    height, width, channels = cells.shape[1:]
    return Drawn([Pixels(height, width, channels, cell.tobytes()) for cell in cells], found, span)


def _draw_tensor(images: Any, layout: str, said: Range | None, before: Range | None) -> Drawn:
    """Draw as `_draw_array` does, for PyTorch without NumPy."""
    torch = sys.modules["torch"]
    images = images[None] if "N" not in layout else images
    images = images[..., None] if "C" not in layout else images
    found = span = None
    if images.is_floating_point():
        images = images.float()
        finite = images[images.isfinite()]
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
    content, size = ctypes.string_at(cells.data_ptr(), cells.numel()), height * width * channels
    pixels = [content[index * size : (index + 1) * size] for index in range(count)]
    return Drawn([Pixels(height, width, channels, each) for each in pixels], found, span)


def _is_pil(image: Any) -> bool:
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def _read_pil(image: Any, channels: int = 0) -> Pixels:
    if not channels:
        has_alpha = "A" in image.getbands() or "transparency" in image.info
        channels = 4 if has_alpha else 1 if image.mode in ("1", "L", "I;16", "I", "F") else 3
    converted = image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])
    width, height = converted.size
    if max(width, height) > MOST_CELL_SIDE:
        raise ValueError(
            f"a picture may have at most {MOST_CELL_SIDE:,} pixels a side; this has {width} × {height}."
        )
    return Pixels(height, width, channels, converted.tobytes())
