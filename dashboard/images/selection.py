"""Which grids a sheet shows, and what its address is; static/js/strips.js says the same.

A sheet is one image made of many: thumbnails of consecutive grids, or one cell through the whole timeline. Its
address holds a digest of its members' files, so what an address shows never changes.
"""

from collections.abc import Sequence

from api.queries.timeline import GridRow

# A strip of 16 is made in some 40 ms, so that the first look at it waits for no more than that.
STRIP_FRAMES = 16
CELL_FRAMES = 200
# Drawn otherwise, sheets need other addresses: raise this then.
VERSION = 1
_PRIME = 2**44 - 17


def digest_of(files: Sequence[str]) -> str:
    """Return a digest of these sha256 in their order, simple enough to be found in a script without a library."""
    digest = VERSION
    for sha256 in files:
        digest = (digest * 31 + int(sha256[:12], 16)) % _PRIME
    return f"{digest:x}"


def name_sheet(grids: Sequence[GridRow]) -> str:
    """Return the part of a sheet's address that names its members: first and last iteration, count, digest."""
    digest = digest_of([grid.sha256 for grid in grids])
    return f"{grids[0].iteration}-{grids[-1].iteration}-{len(grids)}-{digest}"


def evenly_spaced(count: int, most: int) -> list[int]:
    """Return at most `most` indices from the first to the last of `count`, evenly spread."""
    if count <= most:
        return list(range(count))
    return sorted({round(step * (count - 1) / (most - 1)) for step in range(most)})


def choose(grids: Sequence[GridRow], most: int) -> list[GridRow]:
    """Return at most so many grids, evenly spread, the first and the last among them."""
    return [grids[index] for index in evenly_spaced(len(grids), most)]


def alike(grids: Sequence[GridRow], wanted: GridRow) -> list[GridRow]:
    """Return the grids whose cells are of the same latents as the wanted grid's, in the same places."""
    return [grid for grid in grids if grid.layout == wanted.layout]
