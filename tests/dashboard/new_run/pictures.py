"""Joins the pictures of docs/images/recipes into the sheet that the page of recipes shows, and its index.

`python -m tests.dashboard.new_run.pictures`, after a picture has changed or come. Those pictures have
each pixel doubled; the sheet has six by three cells of each, as they were generated.
"""

import json
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[3]
SOURCE, SHEET, INDEX = (
    ROOT / path
    for path in ("docs/images/recipes", "dashboard/static/recipes.png", "dashboard/static/recipes.json")
)
COLUMNS, ROWS, IN_A_ROW = 6, 3, 6
COLOURS = 128


def main() -> None:
    """Write the sheet and its index."""
    pictures = {path.stem: crop(path) for path in sorted(SOURCE.glob("*.png"))}
    width = max(picture.width for picture in pictures.values())
    height = max(picture.height for picture in pictures.values())
    sheet = Image.new("RGB", (width * IN_A_ROW, height * -(-len(pictures) // IN_A_ROW)))
    index = {}
    for number, (name, picture) in enumerate(pictures.items()):
        x, y = number % IN_A_ROW * width, number // IN_A_ROW * height
        sheet.paste(picture, (x, y))
        index[name] = [x, y, picture.width, picture.height]
    sheet.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(SHEET, optimize=True)
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(place)}" for name, place in index.items())
    INDEX.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def crop(path: Path) -> Image.Image:
    """Return the upper left cells of a picture whose pixels are doubled: it is four cells high."""
    with Image.open(path) as picture:
        cell = picture.height // 2 // 4
        native = picture.convert("RGB").resize((picture.width // 2, picture.height // 2), Image.Resampling.NEAREST)
    return native.crop((0, 0, COLUMNS * cell, ROWS * cell))


if __name__ == "__main__":
    main()
