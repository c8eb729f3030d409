"""The images in a zip, read in place: nothing is unpacked to disk, and no member takes more than its memory."""

import bz2
import hashlib
import lzma
import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

from ganlib.datasets.pictures import DAMAGED, PictureUnreadable
from ganlib.datasets.sources import (
    LINKED,
    MAX_FILE_BYTES,
    MAX_FILES,
    TOO_MANY_BYTES,
    LeftOut,
    PictureSource,
    open_plain,
    sort_in,
)
from ganlib.errors import DatasetUnavailable

# Members of a zip may share their compressed bytes, so that a small file unfolds to any amount.
MAX_ZIP_BYTES = 32 * 1024**3

ENCRYPTED = "encrypted (zip it again without a password)"
TWICE = "in the zip twice (the last one is taken)"
NAMED_OUTSIDE = "with a name that leads out of the zip"

_IS_ENCRYPTED = 0x1
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_LZMA_UNKNOWN_SIZE = b"\xff" * 8


class ZipSource(PictureSource):
    """The image files of a zip; `names` and `left_out` are known once it is entered."""

    def __init__(self, path: Path) -> None:
        self.title = path.name
        self.names = []
        self.left_out = LeftOut()
        self._path = path
        self._members: dict[str, zipfile.ZipInfo] = {}

    def __enter__(self) -> Self:
        self._descriptor = open_plain(self._path)
        try:
            self._list_members()
        except BaseException:
            os.close(self._descriptor)
            raise
        return self

    def read(self, name: str) -> bytes:
        """Return the bytes of one member."""
        member = self._members[name]
        if member.flag_bits & _IS_ENCRYPTED:
            raise PictureUnreadable(ENCRYPTED)
        # What a zip declares need not be true, so both what is read and what it unfolds to are cut off.
        if max(member.file_size, member.compress_size) > MAX_FILE_BYTES:
            raise PictureUnreadable(TOO_MANY_BYTES)
        content = unpack(member.compress_type, self._read_packed(member), member.file_size)
        if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
            raise PictureUnreadable(DAMAGED)
        return content

    def digest(self) -> str:
        """Return the sha256 of the whole file."""
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def _list_members(self) -> None:
        try:
            with os.fdopen(os.dup(self._descriptor), "rb") as file, zipfile.ZipFile(file) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error) as error:
            raise DatasetUnavailable(
                f"{self.title} cannot be read as a zip file ({error}): copy or download it again, or make it anew."
            ) from None
        for member in members:
            self._add(member)
        self.names = sorted(self._members)
        if len(self.names) > MAX_FILES:
            raise DatasetUnavailable(f"{self.title} holds more than {MAX_FILES:,} images.")
        if sum(member.file_size for member in self._members.values()) > MAX_ZIP_BYTES:
            raise DatasetUnavailable(f"The images in {self.title} unfold to more than {MAX_ZIP_BYTES:,} bytes.")

    def _add(self, member: zipfile.ZipInfo) -> None:
        name = plain_name(member.filename)
        inside = "/".join(part for part in name.split("/") if part != "..")
        if not inside or inside.endswith("/") or not sort_in(inside, self.left_out):
            return
        if inside != name:
            self.left_out.add(NAMED_OUTSIDE, name)
        elif stat.S_ISLNK(member.external_attr >> 16):
            self.left_out.add(LINKED, name)
        else:
            if name in self._members:
                self.left_out.add(TWICE, name)
            self._members[name] = member

    def _read_packed(self, member: zipfile.ZipInfo) -> bytes:
        """Return a member's compressed bytes; unlike a ZipFile's, several threads may read at once."""
        header = os.pread(self._descriptor, _LOCAL_HEADER.size, member.header_offset)
        if len(header) != _LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
            raise PictureUnreadable(DAMAGED)
        _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        start = member.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        return os.pread(self._descriptor, member.compress_size, start)


def plain_name(name: str) -> str:
    """Return a member's name as a relative path with '/', however the program that made the zip wrote it."""
    parts = name.replace("\\", "/").split("/")
    if len(parts[0]) == 2 and parts[0].endswith(":"):
        parts = parts[1:]
    kept = [part for part in parts[:-1] if part not in ("", ".")]
    return "/".join([*kept, parts[-1]])


def unpack(method: int, packed: bytes, size: int) -> bytes:
    """Return what the compressed bytes of a zip's member unfold to, cut off after size + 1 bytes.

    Raises PictureUnreadable for damaged ones and for a compression that Python has not.
    """
    try:
        match method:
            case zipfile.ZIP_STORED:
                return packed
            case zipfile.ZIP_DEFLATED:
                return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1)
            case zipfile.ZIP_BZIP2:
                return bz2.BZ2Decompressor().decompress(packed, size + 1)
            case zipfile.ZIP_LZMA:
                return _unpack_lzma(packed, size)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
        raise PictureUnreadable(DAMAGED) from None
    name = _METHODS.get(method, f"method {method}")
    raise PictureUnreadable(f"compressed by {name}, which cannot be unpacked here (zip it again with deflate)")


# Of APPNOTE.TXT, section 4.4.5, what today's programs still write.
_METHODS = {9: "deflate64", 93: "zstandard", 95: "xz", 96: "a JPEG variant", 97: "WavPack", 98: "PPMd"}


def _unpack_lzma(packed: bytes, size: int) -> bytes:
    """Unpack a member's own header and raw stream (APPNOTE.TXT, section 5.8) as the older .lzma format."""
    length = int.from_bytes(packed[2:4], "little")
    properties, stream = packed[4 : 4 + length], packed[4 + length :]
    # Its dictionary may be declared as 4 GiB, and needs no more than what comes out.
    needed = 1 << max(size, 4095).bit_length()
    dictionary = min(int.from_bytes(properties[1:5], "little"), needed).to_bytes(4, "little")
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_ALONE)
    return decompressor.decompress(properties[:1] + dictionary + _LZMA_UNKNOWN_SIZE + stream, size + 1)
