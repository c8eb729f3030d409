"""Image files as people see them: every mode and depth, the right way up, whatever lies beside the pixels."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from ganlib.datasets.pictures import PictureUnreadable, decode_picture, picture_suffixes
from tests.support.pictures import BLUE, GREEN, RED, first_pixels, load_set, picture_bytes, write_files, write_zip

WHITE, GREY = (255, 255, 255), (100, 100, 100)


def save(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def seen(content: bytes, suffix: str = "") -> tuple[int, ...]:
    """Return the colour that a picture of one colour has."""
    pixels = decode_picture(content, 4, suffix)
    assert pixels.shape == (4, 4, 3)
    assert (pixels == pixels[0, 0]).all()
    return tuple(pixels[0, 0].tolist())


def plain(mode: str, colour: Any) -> Image.Image:
    return Image.new(mode, (8, 8), colour)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(depth: int, kind: int, pixel: bytes, clear: bytes = b"", count: int = 8) -> bytes:
    """Return a PNG of count×8 equal pixels; each row is 8 times `pixel`. clear: the tRNS chunk."""
    rows = (b"\0" + pixel * count) * 8
    header = struct.pack(">2I5B", 8, 8, depth, kind, 0, 0, 0)
    parts = [chunk(b"IHDR", header)]
    parts += [chunk(b"PLTE", bytes((255, 0, 0, 0, 0, 255)))] if kind == 3 else []
    parts += [chunk(b"tRNS", clear)] if clear else []
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])


def put_before_pixels(png: bytes, *chunks: bytes) -> bytes:
    start = png.index(b"IDAT") - 4
    return png[:start] + b"".join(chunks) + png[start:]


def test_the_middle_square_is_cut_out(data: Path) -> None:
    striped = Image.new("RGB", (24, 8), RED)
    striped.paste(GREEN, (8, 0, 16, 8))
    (data / "set").mkdir()
    striped.save(data / "set" / "wide.png")
    striped.rotate(90, expand=True).save(data / "set" / "tall.png")
    assert load_set("set", size=8).images.unique(dim=3).unique(dim=2).squeeze().tolist() == [[0, 255, 0]] * 2


def test_shrinking_averages_instead_of_picking_pixels(data: Path) -> None:
    board = Image.new("L", (64, 64))
    board.putdata([255 * ((x + y) % 2) for y in range(64) for x in range(64)])
    (data / "set").mkdir()
    board.save(data / "set" / "board.png")
    values = load_set("set", size=8).images.float()
    assert (values.min().item(), values.max().item()) == pytest.approx((127.5, 127.5), abs=4)


def test_transparent_pixels_lie_on_white_and_photographs_stand_upright(data: Path) -> None:
    turned = Image.new("RGB", (8, 8), RED)
    turned.paste(GREEN, (0, 0, 8, 4))
    content = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180°
    turned.save(content, "PNG", exif=exif)
    clear = picture_bytes((0, 0, 0, 0), mode="RGBA")
    write_files(data / "set", {"1.png": clear, "2.png": content.getvalue()})
    assert first_pixels(load_set("set", size=8).images) == [[255, 255, 255], [255, 0, 0]]


def test_sixteen_bits_are_scaled_and_not_cut_off(data: Path) -> None:
    (data / "set").mkdir()
    Image.new("I;16", (8, 8), 257 * 100).save(data / "set" / "deep.png")
    assert first_pixels(load_set("set").images) == [[100, 100, 100]]


def bomb_bytes() -> bytes:
    """A PNG of 7,100×7,100 = 50,410,000 black pixels in a few kilobytes."""
    return picture_bytes((0,), size=(7100, 7100), mode="1")


def test_a_picture_of_too_many_pixels_is_left_out(data: Path) -> None:
    write_zip(data / "set.zip", {"1.png": bomb_bytes(), "2.png": picture_bytes(BLUE)})
    assert first_pixels(load_set("set.zip").images) == [[0, 0, 255]]


def test_without_the_cap_it_would_be_decoded(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control of the cap on pixels."""
    monkeypatch.setattr("ganlib.datasets.pictures.MAX_PIXELS", 10**9)
    # The dashboard lowers it for its whole process, which is that of all tests.
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 10**9)
    write_zip(data / "set.zip", {"1.png": bomb_bytes()})
    assert first_pixels(load_set("set.zip").images) == [[0, 0, 0]]


DEEP = np.full((8, 8), 257 * 100)


@pytest.mark.parametrize(
    ("content", "suffix", "expected"),
    [
        (save(plain("1", 1)), "", WHITE),
        (save(plain("L", 100)), "", GREY),
        (save(plain("LA", (100, 255))), "", GREY),
        (save(plain("LA", (100, 0))), "", WHITE),
        (save(plain("RGBA", (*RED, 0))), "", WHITE),
        (save(plain("RGBA", (0, 0, 0, 51))), "", (204, 204, 204)),
        (save(plain("RGB", RED).quantize(2)), "", RED),
        (save(plain("PA", (0, 0)), "TIFF"), ".tif", WHITE),
        (save(plain("CMYK", (0, 255, 255, 0)), "TIFF"), ".tif", RED),
        (save(plain("CMYK", (0, 255, 255, 0)), "JPEG", quality=100), ".jpg", (254, 0, 0)),
        (save(plain("YCbCr", (255, 128, 128)), "TIFF"), ".tif", WHITE),
        (save(plain("LAB", (255, 128, 128)), "TIFF"), ".tif", WHITE),
        (save(Image.fromarray(DEEP.astype("<u2"))), "", GREY),
        (save(Image.fromarray(DEEP.astype("<u2")), "TIFF"), ".tif", GREY),
        (save(Image.fromarray(DEEP.astype(">u2")), "TIFF"), ".tif", GREY),
        (save(Image.fromarray(DEEP.astype("<i4")), "TIFF"), ".tif", GREY),
        (save(Image.fromarray(np.full((8, 8), 2**31 - 1, "<i4")), "TIFF"), ".tif", WHITE),
        (save(Image.fromarray(np.full((8, 8), 100 / 255, "<f4")), "TIFF"), ".tif", GREY),
        (save(Image.fromarray(np.full((8, 8), 100.0, "<f4")), "TIFF"), ".tif", GREY),
        (save(Image.fromarray(np.full((8, 8), np.nan, "<f4")), "TIFF"), ".tif", (0, 0, 0)),
        (save(Image.fromarray(DEEP.astype("<u2")), "TIFF", tiffinfo={262: 0}), ".tif", (155, 155, 155)),
        # A grey of 16 bits, and with alpha; colour of 16 bits, and with alpha.
        (raw_png(16, 0, b"\x64\x64"), "", GREY),
        (raw_png(16, 4, b"\x64\x64\xff\xff"), "", GREY),
        (raw_png(16, 4, b"\x64\x64\0\0"), "", WHITE),
        (raw_png(16, 2, b"\xff\xff\0\0\0\0"), "", RED),
        (raw_png(16, 6, b"\xff\xff\0\0\0\0\0\0"), "", WHITE),
        # One colour is transparent, counted in the bits of the file; then another colour than that of the pixels.
        (raw_png(1, 0, b"\0", b"\0\0", 1), "", WHITE),
        (raw_png(1, 0, b"\0", b"\0\1", 1), "", (0, 0, 0)),
        (raw_png(2, 0, b"\x55", b"\0\1", 2), "", WHITE),
        (raw_png(2, 0, b"\x55", b"\0\2", 2), "", (85, 85, 85)),
        (raw_png(4, 0, b"\x33", b"\0\3", 4), "", WHITE),
        (raw_png(8, 0, b"\x64", b"\0\x64"), "", WHITE),
        (raw_png(8, 0, b"\x64", b"\0\x65"), "", GREY),
        (raw_png(16, 0, b"\x64\x64", b"\x64\x64"), "", WHITE),
        (raw_png(16, 0, b"\x64\x64", b"\x64\x65"), "", GREY),
        (raw_png(8, 2, bytes(RED), b"\0\xff\0\0\0\0"), "", WHITE),
        (raw_png(8, 2, bytes(RED), b"\0\xff\0\1\0\0"), "", RED),
        (raw_png(16, 2, b"\xff\xff\0\0\0\0", b"\xff\xff\0\0\0\0"), "", WHITE),
        # A palette whose first colour is transparent, or half so.
        (raw_png(8, 3, b"\0", b"\0"), "", WHITE),
        (raw_png(8, 3, b"\0", b"\x80"), "", (255, 127, 127)),
        (raw_png(8, 3, b"\1", b"\0"), "", BLUE),
    ],
)  # fmt: skip
def test_a_picture_of_any_mode_and_depth_comes_out_as_people_see_it(
    content: bytes, suffix: str, expected: tuple[int, ...]
) -> None:
    assert seen(content, suffix) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    frames = [plain("RGB", BLUE)]
    options = {"lossless": True} if kind == "WEBP" else {}
    assert seen(save(plain("RGB", RED), kind, save_all=True, append_images=frames, **options)) == RED


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(orientation: int) -> None:
    """Each says how the stored picture has to be turned, so each shows the red corner elsewhere."""
    stored = plain("RGB", BLUE)
    stored.paste(RED, (0, 0, 4, 4))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode_picture(save(stored, exif=exif), 8)
    corners = {(y, x): tuple(pixels[y, x].tolist()) == RED for y in (1, 6) for x in (1, 6)}
    upright = {1: (1, 1), 2: (1, 6), 3: (6, 6), 4: (6, 1), 5: (1, 1), 6: (1, 6), 7: (6, 6), 8: (6, 1)}
    assert [place for place, is_red in corners.items() if is_red] == [upright[orientation]]


def turned_png(*chunks: bytes) -> bytes:
    """A picture that its EXIF data turn by 180°, the green half down, with more chunks before its pixels."""
    picture = plain("RGB", RED)
    picture.paste(GREEN, (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3
    return put_before_pixels(save(picture, exif=exif), *chunks)


LONG = b"Comment\0\0" + zlib.compress(bytes(2**21))
BROKEN_CHUNKS: dict[str, Callable[[], bytes]] = {
    "long text": lambda: turned_png(chunk(b"zTXt", LONG)),
    "long plain text": lambda: turned_png(*[chunk(b"tEXt", b"Comment\0" + b"x" * 2**20)] * 66),
    "long profile": lambda: turned_png(chunk(b"iCCP", b"ICC\0\0" + zlib.compress(bytes(2**21)))),
    "damaged text": lambda: turned_png(chunk(b"zTXt", b"Comment\0\0no zlib")),
    "wrong checksum": lambda: turned_png(chunk(b"tEXt", b"Comment\0x")[:-1] + b"\0"),
    "long text after the pixels": lambda: turned_png().replace(
        chunk(b"IEND", b""), chunk(b"zTXt", LONG) + chunk(b"IEND", b"")
    ),
}


@pytest.mark.parametrize("make", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS.keys())
def test_what_lies_beside_the_pixels_of_a_png_keeps_nobody_from_seeing_them(make: Callable[[], bytes]) -> None:
    pixels = decode_picture(make(), 8)
    assert (tuple(pixels[0, 0].tolist()), tuple(pixels[7, 7].tolist())) == (RED, GREEN)


# A run ignores what Pillow says about notes: `_decode_all`.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("exif", [b"no exif at all", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_broken_exif_data_turn_nothing(kind: str, exif: bytes) -> None:
    assert seen(save(plain("RGB", RED), kind, exif=exif, quality=100)) == pytest.approx(RED, abs=2)


def test_a_broken_raw_profile_turns_nothing() -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Raw profile type exif", "\nexif\n   12\nzz no hex digits")
    assert seen(save(plain("RGB", RED), pnginfo=notes)) == RED


def test_without_the_second_reading_long_text_would_lose_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control."""
    monkeypatch.setattr("ganlib.datasets.pictures._readings", lambda content: iter([content]))
    with pytest.raises(ValueError, match="MAX_TEXT_CHUNK"):
        decode_picture(BROKEN_CHUNKS["long text"](), 8)


KINDS = {
    "JPEG": ".jfif", "TIFF": ".tif", "JPEG2000": ".jp2", "PPM": ".ppm", "TGA": ".tga", "PCX": ".pcx",
    "ICO": ".ico",
    "BMP": ".bmp", "DIB": ".dib", "GIF": ".gif", "WEBP": ".webp", "AVIF": ".avif", "SGI": ".sgi", "MPO": ".mpo",
    "ICNS": ".icns", "DDS": ".dds", "QOI": ".qoi", "PNG": ".apng",
}  # fmt: skip


@pytest.mark.parametrize(("kind", "suffix"), KINDS.items())
def test_every_kind_that_pillow_reads_is_an_image(kind: str, suffix: str) -> None:
    size = (64, 64) if kind in ("ICNS", "ICO") else (8, 8)
    assert suffix in picture_suffixes()
    assert seen(picture_bytes(RED, size, kind), suffix) == pytest.approx(RED, abs=4)


@pytest.mark.parametrize("content", [b"text", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"])
@pytest.mark.parametrize("suffix", [".png", ".eps", ""])
def test_what_is_no_image_starts_no_other_program(content: bytes, suffix: str) -> None:
    with pytest.raises(PictureUnreadable, match="no image"):
        decode_picture(content, 4, suffix)
