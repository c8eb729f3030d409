"""Small image files for tests."""

import io
import zipfile
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from ganlib.datasets import LabelledImages, load_training
from ganlib.spec.sections.datasets import FolderSpec

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def picture_bytes(
    colour: tuple[int, ...], size: tuple[int, int] = (8, 8), kind: str = "PNG", mode: str = "RGB"
) -> bytes:
    """Return an image file of one colour; size is (width, height)."""
    content = io.BytesIO()
    Image.new(mode, size, colour).save(content, kind)
    return content.getvalue()


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files by their relative names."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    """Write a zip of files by their names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def load_set(path: str, size: int = 4, **options: Any) -> LabelledImages:
    """Return the training images of a folder or zip below the data folder."""
    return load_training(FolderSpec(path=path, size=size, **options))


def first_pixels(images: Tensor) -> list[list[int]]:
    """Return the colour of each image's upper left corner."""
    return images[:, :, 0, 0].tolist()
