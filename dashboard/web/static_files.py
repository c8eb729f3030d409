"""The dashboard's own files, read once and served under an address that changes with their content.

`/static/<digest>/run/scripts/run-vitals.js`: below the digest the paths are those of `dashboard/`, so that a
relative import means the same on disk and in the browser. There is one digest for all files, so that they can be
cached for good; an old digest (a page from before an update) gets the present file, uncached.
"""

import gzip
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from posixpath import normpath

from starlette.requests import Request
from starlette.responses import Response

from api.server.http.responses import accepts_gzip

ROOT = Path(__file__).parents[1]
# Nothing else is served, neither templates nor Python.
MEDIA_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
LICENCE, LICENCE_TYPE = re.compile(r"LICENSE(-[\w-]+)?"), "text/plain"
COMPRESSED = {"text/javascript", "text/css", "image/svg+xml", LICENCE_TYPE}
# Only our own modules are imported, by relative paths: import … from "./dom.js", or import "./dom.js".
_IMPORT = re.compile(r'^import (?:.* from )?"(\.[^"]+)";$', re.M)
FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class StaticFile:
    """One file; `compressed` is None where gzip gains nothing."""

    media_type: str
    content: bytes
    compressed: bytes | None


class StaticTree:
    """Every script, style sheet, picture and font below `root`, by its path."""

    def __init__(self, root: Path = ROOT) -> None:
        types = {path: _media_type(path) for path in sorted(root.rglob("*")) if path.is_file()}
        self._files = {
            path.relative_to(root).as_posix(): _read(path, kind) for path, kind in types.items() if kind
        }
        names_and_contents = (name.encode() + b"\0" + file.content for name, file in self._files.items())
        self.digest = hashlib.sha256(b"\0".join(names_and_contents)).hexdigest()[:12]
        self._imports = {
            name: [normpath(PurePosixPath(name).parent / path) for path in _IMPORT.findall(file.content.decode())]
            for name, file in self._files.items()
            if name.endswith(".js")
        }

    def url(self, name: str) -> str:
        """Return the address of a file; KeyError when there is none, so that a wrong link fails in a test."""
        if name not in self._files:
            raise KeyError(name)
        return f"/static/{self.digest}/{name}"

    def module_urls(self, names: Iterable[str]) -> list[str]:
        """Return the addresses of these modules and of all that they import; KeyError for an unknown one."""
        found: dict[str, None] = {}
        waiting = [*names]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = None
                waiting.extend(self._imports[name])
        return [self.url(name) for name in found]

    def read_text(self, name: str) -> str:
        """Return the text of a script or style sheet, for a page that holds it; KeyError for an unknown one."""
        return self._files[name].content.decode()

    def find_response(self, request: Request, digest: str, name: str) -> Response | None:
        """Return the file as an answer to this request, or None."""
        file = self._files.get(name)
        if file is None:
            return None
        headers = {
            "Cache-Control": FOR_GOOD if digest == self.digest else "no-cache",
            "Content-Type": file.media_type,
            "Vary": "Accept-Encoding",
        }
        if file.compressed and accepts_gzip(request):
            return Response(file.compressed, headers={**headers, "Content-Encoding": "gzip"})
        return Response(file.content, headers=headers)


def _media_type(path: Path) -> str | None:
    return LICENCE_TYPE if LICENCE.fullmatch(path.name) else MEDIA_TYPES.get(path.suffix)


def _read(path: Path, media_type: str) -> StaticFile:
    content = path.read_bytes()
    if media_type not in COMPRESSED:
        return StaticFile(media_type, content, None)
    return StaticFile(f"{media_type}; charset=utf-8", content, _compress(content))


@cache
def _compress(content: bytes) -> bytes:
    """Compress a file as far as gzip can, once for all applications of a process."""
    return gzip.compress(content, 9, mtime=0)
