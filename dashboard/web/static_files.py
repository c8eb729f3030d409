"""The dashboard's own files, read once and served under an address that changes with their content.

`/static/<digest>/js/main.js`: one digest for the whole tree, so that a module's relative imports stay inside it
and every file can be cached for good. An old digest (a page from before an update) gets the present file,
uncached.
"""

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath

from starlette.requests import Request
from starlette.responses import Response

from api.server.http.responses import accepts_gzip

ROOT = Path(__file__).parent / "static"
MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
COMPRESSED = {"text/javascript", "text/css", "image/svg+xml", "text/plain"}
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
    """Every file below `root`, by its path."""

    def __init__(self, root: Path = ROOT) -> None:
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        self._files = {path.relative_to(root).as_posix(): _read(path) for path in paths}
        names_and_contents = (name.encode() + b"\0" + file.content for name, file in self._files.items())
        self.digest = hashlib.sha256(b"\0".join(names_and_contents)).hexdigest()[:12]

        entries = [name for name in self._files if name == "js/main.js" or name.endswith("-page.js")]
        self._modules = {
            PurePosixPath(name).stem: [*map(self.url, self._follow_imports(name))] for name in entries
        }

    def url(self, name: str) -> str:
        """Return the address of a file; KeyError when there is none, so that a wrong link fails in a test."""
        if name not in self._files:
            raise KeyError(name)
        return f"/static/{self.digest}/{name}"

    def modules(self, entry: str) -> list[str]:
        """Return the addresses of a page's script modules, to load side by side; KeyError for an unknown page."""
        return self._modules[entry]

    def _follow_imports(self, name: str) -> list[str]:
        """Return the names of a module and of all that it imports."""
        found = {name: None}
        waiting = [name]
        while waiting:
            here = waiting.pop()
            for path in _IMPORT.findall(self._files[here].content.decode()):
                imported = normpath(PurePosixPath(here).parent / path)
                if imported not in found:
                    found[imported] = None
                    waiting.append(imported)
        return list(found)

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


def _read(path: Path) -> StaticFile:
    kind = MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
    content = path.read_bytes()
    if kind not in COMPRESSED:
        return StaticFile(kind, content, None)
    return StaticFile(f"{kind}; charset=utf-8", content, gzip.compress(content, 9, mtime=0))
