"""From a stored grid to the cells that a figure shows, pixel by pixel."""

from PIL import Image

from dashboard.figures.plans import Crop, FigureRefusal, Shot, cells_size
from dashboard.images.decoding import UnreadableImage, decode_png


def read_cells(data: bytes, shot: Shot, crop: Crop | None) -> Image.Image:
    """Return the chosen cells of a stored grid in RGB, at the resolution in which they were stored."""
    try:
        image = decode_png(data)
    except UnreadableImage as error:
        raise FigureRefusal(f"The grid of iteration {shot.iteration:,} is damaged.") from error
    grid = shot.grid
    width, height = grid.cell_width, grid.cell_height
    shown = Image.new("RGB", cells_size(grid, crop))
    if crop is None:
        shown.paste(image, (0, 0))
        return shown
    for place, (row, column) in enumerate(crop.cells):
        at_row, at_column = divmod(place, crop.columns)
        cell = image.crop((column * width, row * height, (column + 1) * width, (row + 1) * height))
        shown.paste(cell, (at_column * width, at_row * height))
    return shown


def enlarge(image: Image.Image, scale: int) -> Image.Image:
    """Return the image with each pixel as a square of scale × scale."""
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
