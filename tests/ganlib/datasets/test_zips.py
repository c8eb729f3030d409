"""Zips as people make them: read, or refused with the reason; and no more memory than their images may take."""

import bz2
import io
import os
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from ganlib.datasets import sources, zips
from ganlib.errors import DatasetUnavailable
from tests.support.pictures import BLUE, GREEN, RED, first_pixels, load_set, picture_bytes, write_files, write_zip

RED_PNG, GREEN_PNG, BLUE_PNG = (picture_bytes(colour) for colour in (RED, GREEN, BLUE))


def write_members(path: Path, *members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a zip with these members in this order; names may come twice."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            info = zipfile.ZipInfo("x")
            # The constructor would change the name.
            info.filename, info.compress_type = name, method
            archive.writestr(info, content)
    return path


def patch_directory(path: Path, offset: int, value: bytes, entry: int = 0) -> None:
    """Change bytes of one entry of the list of files at a zip's end."""
    content = bytearray(path.read_bytes())
    start = -1
    for _ in range(entry + 1):
        start = content.index(b"PK\x01\x02", start + 1)
    content[start + offset : start + offset + len(value)] = value
    path.write_bytes(bytes(content))


METHOD, FLAGS, PACKED_SIZE, SIZE, ATTRIBUTES = 10, 8, 20, 24, 38


@pytest.mark.parametrize(
    "method",
    [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA],
    ids=lambda method: method,
)
def test_every_compression_of_python_is_read(data: Path, method: int) -> None:
    write_members(data / "set.zip", ("a/1.png", RED_PNG), ("a/2.png", BLUE_PNG), method=method)
    found = load_set("set.zip")
    assert (first_pixels(found.images), found.warnings) == ([[255, 0, 0], [0, 0, 255]], ())


@pytest.mark.parametrize("method", [9, 93, 98])
def test_another_compression_is_named_with_what_to_do(data: Path, method: int) -> None:
    path = write_members(data / "set.zip", ("1.png", RED_PNG), ("2.png", BLUE_PNG))
    patch_directory(path, METHOD, struct.pack("<H", method))
    found = load_set("set.zip")
    assert first_pixels(found.images) == [[0, 0, 255]]
    (warning,) = found.warnings
    name = {9: "deflate64", 93: "zstandard", 98: "PPMd"}[method]
    assert warning == (
        f"1 of 2 image files in set.zip is left out, compressed by {name}, which cannot be unpacked here (zip it "
        "again with deflate): 1.png"
    )


@pytest.mark.parametrize(
    ("names", "class_names"),
    [
        (["set\\a\\1.png", "set\\b\\2.png"], ("a", "b")),
        (["/set/a/1.png", "/set/b/2.png"], ("a", "b")),
        (["C:\\set\\a\\1.png", "C:\\set\\b\\2.png"], ("a", "b")),
        (["./a/1.png", "./b/2.png"], ("a", "b")),
        (["a//1.png", "b//2.png"], ("a", "b")),
        (["top/in/a/1.png", "top/in/b/2.png", "__MACOSX/top/in/a/._1.png", "top/.DS_Store"], ("a", "b")),
    ],
)
def test_names_are_read_however_the_zip_was_made(
    data: Path, names: list[str], class_names: tuple[str, ...]
) -> None:
    write_members(data / "set.zip", *zip(names, [RED_PNG, BLUE_PNG, b"", b""], strict=False))
    found = load_set("set.zip")
    assert (first_pixels(found.images), found.class_names) == ([[255, 0, 0], [0, 0, 255]], class_names)
    assert (found.warnings, found.notes) == ((), ())


def test_names_that_lead_outside_links_and_doubled_names_are_told(data: Path) -> None:
    members = [("1.png", GREEN_PNG), ("../2.png", RED_PNG), ("a/../../3.png", RED_PNG), ("1.png", BLUE_PNG)]
    path = data / "set.zip"
    with pytest.warns(UserWarning, match="Duplicate name"):
        write_members(path, *members, ("4.png", b"/etc/passwd"))
    patch_directory(path, ATTRIBUTES, struct.pack("<L", 0o120777 << 16), entry=4)
    found = load_set("set.zip")
    assert first_pixels(found.images) == [[0, 0, 255]]
    assert set(found.warnings) == {
        "2 of 5 image files in set.zip are left out, with a name that leads out of the zip: "
        "../2.png, a/../../3.png",
        "1 of 5 image files in set.zip is left out, in the zip twice (the last one is taken): 1.png",
        "1 of 5 image files in set.zip is left out, linked, and not followed: 4.png",
    }


def test_encrypted_images_are_told_and_a_zip_of_nothing_else_is_refused(data: Path) -> None:
    path = write_members(data / "set.zip", ("1.png", RED_PNG), ("2.png", BLUE_PNG))
    patch_directory(path, FLAGS, b"\x01\x00")
    found = load_set("set.zip")
    assert first_pixels(found.images) == [[0, 0, 255]]
    assert found.warnings == (
        "1 of 2 image files in set.zip is left out, encrypted (zip it again without a password): 1.png",
    )
    patch_directory(path, FLAGS, b"\x01\x00", entry=1)
    with pytest.raises(
        DatasetUnavailable, match=r"None of the 2 .* encrypted \(zip it again without a password\)"
    ):
        load_set("set.zip")


def test_a_zip_that_is_cut_off_says_so(data: Path) -> None:
    path = write_members(data / "set.zip", ("1.png", RED_PNG), ("2.png", BLUE_PNG))
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DatasetUnavailable, match=r"set\.zip is cut off: .* Copy or download it again"):
        load_set("set.zip")


class Unseekable(io.RawIOBase):
    """A file that is written from beginning to end, as by a program that streams its zip."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.content += data
        return len(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_streamed_zip_with_sizes_after_the_data_is_read(data: Path, method: int) -> None:
    stream = Unseekable()
    with zipfile.ZipFile(stream, "w", method) as archive:  # type: ignore[arg-type]
        archive.writestr("1.png", RED_PNG)
    assert stream.content[6] & 8
    (data / "set.zip").write_bytes(stream.content)
    assert first_pixels(load_set("set.zip").images) == [[255, 0, 0]]


def test_zip64_and_a_zip_behind_other_bytes_are_read(data: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive, archive.open("1.png", "w", force_zip64=True) as member:
        member.write(RED_PNG)
    (data / "set.zip").write_bytes(b"#!/bin/sh\n" + content.getvalue())
    assert first_pixels(load_set("set.zip").images) == [[255, 0, 0]]


MIB = 1024 * 1024


def lie(data: Path, method: int) -> None:
    """Write a zip whose first member declares 100 bytes and unfolds to 16 MiB."""
    path = write_members(data / "set.zip", ("1.png", bytes(16 * MIB)), ("2.png", BLUE_PNG), method=method)
    patch_directory(path, SIZE, struct.pack("<L", 100))


def measure_peak(load: Callable[[], None]) -> int:
    tracemalloc.start()
    try:
        load()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=lambda method: method
)
def test_a_member_that_lies_about_its_size_takes_no_memory(data: Path, method: int) -> None:
    lie(data, method)

    def load() -> None:
        found = load_set("set.zip")
        assert first_pixels(found.images) == [[0, 0, 255]]
        assert found.warnings == ("1 of 2 image files in set.zip is left out, damaged or cut off: 1.png",)

    assert measure_peak(load) < 8 * MIB


def test_without_the_limit_it_would_be_unfolded(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control."""
    lie(data, zipfile.ZIP_BZIP2)
    monkeypatch.setattr(zips, "unpack", lambda method, packed, size: bz2.decompress(packed))
    assert measure_peak(lambda: str(load_set("set.zip"))) > 16 * MIB


def test_an_lzma_member_that_declares_a_huge_dictionary_takes_no_memory() -> None:
    content = io.BytesIO()
    write_members(content, ("1.png", RED_PNG), method=zipfile.ZIP_LZMA)  # type: ignore[arg-type]
    packed = bytearray(content.getvalue()[30 + len("1.png") :])
    # Behind four bytes of versions and length: one of properties, then the size of the dictionary.
    packed[5:9] = struct.pack("<L", 2**32 - 1)
    assert zips.unpack(zipfile.ZIP_LZMA, bytes(packed), len(RED_PNG))[: len(RED_PNG)] == RED_PNG


def test_a_member_that_declares_more_than_the_file_holds_is_left_out(data: Path) -> None:
    path = write_members(data / "set.zip", ("1.png", RED_PNG), ("2.png", BLUE_PNG), method=zipfile.ZIP_STORED)
    patch_directory(path, PACKED_SIZE, struct.pack("<2L", 10 * MIB, 10 * MIB))
    assert first_pixels(load_set("set.zip").images) == [[0, 0, 255]]


def test_a_member_whose_checksum_differs_is_left_out(data: Path) -> None:
    path = write_members(data / "set.zip", ("1.bmp", picture_bytes(RED, kind="BMP")), method=zipfile.ZIP_STORED)
    write_zip(data / "good.zip", {"1.bmp": picture_bytes(RED, kind="BMP")})
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\0\0\xff\0\0\xff", b"\0\0\xfe\0\0\xff", 1))
    assert zlib.crc32(path.read_bytes()) != zlib.crc32(content)
    with pytest.raises(DatasetUnavailable, match=r"damaged or cut off: 1\.bmp"):
        load_set("set.zip")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_a_pipe_or_device_as_a_data_set_is_refused_and_not_waited_for(
    data: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(data / "set.zip")
    # A device lies outside of any data folder.
    monkeypatch.setattr(Path, "is_relative_to", lambda *_: True)
    with pytest.raises(DatasetUnavailable, match=r"neither a folder nor a zip file, but a pipe or device"):
        load_set("set.zip")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>Not found</html>", "a web page: a download that failed"),
        (b"\x1f\x8b\x08", r"a gzip or tar\.gz archive; unpack it"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
        (RED_PNG, "one image; put it and others into a folder"),
    ],
)
def test_another_kind_of_file_is_named(data: Path, content: bytes, words: str) -> None:
    (data / "set.zip").write_bytes(content)
    with pytest.raises(DatasetUnavailable, match=rf"set\.zip is neither a folder nor a zip file, but {words}"):
        load_set("set.zip")


@pytest.mark.parametrize("cap", [100, None])
def test_a_member_that_declares_too_many_bytes_is_left_out(
    data: Path, monkeypatch: pytest.MonkeyPatch, cap: int | None
) -> None:
    large = picture_bytes(RED) + bytes(1000)
    write_zip(data / "set.zip", {"1.png": large, "2.png": picture_bytes(BLUE)})
    write_files(data / "set", {"1.png": large, "2.png": picture_bytes(BLUE)})
    if cap is not None:
        monkeypatch.setattr(sources, "MAX_FILE_BYTES", cap)
        monkeypatch.setattr(zips, "MAX_FILE_BYTES", cap)
    expected = [[0, 0, 255]] if cap is not None else [[255, 0, 0], [0, 0, 255]]
    assert first_pixels(load_set("set.zip").images) == first_pixels(load_set("set").images) == expected


@pytest.mark.parametrize("room", [0, 1])
def test_a_zip_that_unfolds_to_too_much_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    content = picture_bytes(RED)
    write_zip(data / "set.zip", {"1.png": content, "2.png": content})
    monkeypatch.setattr(zips, "MAX_ZIP_BYTES", 2 * len(content) - 1 + room)
    if room:
        assert len(load_set("set.zip").images) == 2
    else:
        with pytest.raises(DatasetUnavailable, match="unfold to more than"):
            load_set("set.zip")


def test_a_member_that_declares_less_than_it_holds_is_left_out(data: Path) -> None:
    good = picture_bytes(BLUE)
    bad = picture_bytes(RED, size=(64, 64), kind="BMP")
    path = write_zip(data / "set.zip", {"1.bmp": bad, "2.png": good})
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = content.index(b"PK\x01\x02")
        assert archive.getinfo("1.bmp").file_size == len(bad)
    content[start + 24 : start + 28] = (60).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    assert first_pixels(load_set("set.zip").images) == [[0, 0, 255]]


def test_a_damaged_zip_is_an_error(data: Path) -> None:
    path = write_zip(data / "set.zip", {"1.png": RED_PNG})
    content = path.read_bytes()
    start = content.index(b"PK\x01\x02")
    path.write_bytes(content[:start] + b"XXXX" + content[start + 4 :])
    with pytest.raises(DatasetUnavailable, match="cannot be read as a zip file"):
        load_set("set.zip")
