"""The cache of what torch.compile makes: a folder for each user and content, checked before torch may use it.

Torch writes libraries into a folder that all processes of a user share, and trusts what it finds there. A process
that is killed meanwhile leaves half a library, which no later one can load. So a run has a folder of its content
(networks, batch size, versions), held by one process at a time, and a list of its files with their digests,
written once all of them are whole. A folder whose list is missing or does not fit is thrown away, with whatever a
killed process left.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from filelock import FileLock, Timeout

from ganlib.runtime.files import hash_file, replace_text

# Read by torch whenever it looks for its cache.
TORCH_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
_LIST = "whole.json"
_UNUSED_SECONDS = 30 * 86_400


class CompileCache:
    """The folder that torch.compile uses during one run."""

    def __init__(self, home: Path | None, folder: Path, is_fresh: bool) -> None:
        self._home = home
        self._folder = folder
        self._sealed: dict[str, tuple[int, int]] = {}
        self.is_fresh = is_fresh
        """Whether all in it is of this run."""

    def seal(self) -> None:
        """List what is there as whole, for later runs; to be called while nothing is being compiled."""
        if self._home is None:
            return
        present = {name: (status.st_size, status.st_mtime_ns) for name, status in _list_files(self._folder)}
        if present == self._sealed:
            return
        with suppress(OSError):
            digests = {name: hash_file(self._folder / name) for name in present}
            replace_text(self._home / _LIST, json.dumps({"folder": self._folder.name, "files": digests}))
            self._sealed = present

    def discard(self) -> None:
        """Go on with an empty folder, because what was found cannot be loaded."""
        shutil.rmtree(self._folder, ignore_errors=True)
        # Under another name: a compiler that a killed process started may still be writing to the old one.
        self._folder = Path(mkdtemp(dir=self._folder.parent))
        self.is_fresh = True
        os.environ[TORCH_VARIABLE] = str(self._folder)


_current: CompileCache | None = None


def current_cache() -> CompileCache | None:
    """Return the cache of the run that this process is in, if it has one."""
    return _current


@contextmanager
def compile_cache(content: str) -> Iterator[CompileCache]:
    """Inside, torch.compile uses the folder of this content, or one of the run's own where that is taken.

    content: all that decides what is compiled, apart from versions and processor, which torch looks at itself.
    """
    global _current
    before = os.environ.get(TORCH_VARIABLE)
    root = Path(before) / "ganvas" if before else _default_root()
    with ExitStack() as stack:
        cache = _open(root, hashlib.sha256(content.encode()).hexdigest()[:32], stack)
        os.environ[TORCH_VARIABLE] = str(cache._folder)
        _current = cache
        try:
            yield cache
            cache.seal()
        finally:
            _current = None
            if before is None:
                os.environ.pop(TORCH_VARIABLE, None)
            else:
                os.environ[TORCH_VARIABLE] = before


def _default_root() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ganvas" / "compiled"


def _open(root: Path, key: str, stack: ExitStack) -> CompileCache:
    home = root / key
    try:
        home.mkdir(parents=True, exist_ok=True)
        stack.enter_context(FileLock(home / ".lock").acquire(blocking=False))
        _remove_unused(root, home)
        folder = _find_whole(home)
        for entry in home.iterdir():
            if entry.is_dir() and entry != folder:
                shutil.rmtree(entry, ignore_errors=True)
        return CompileCache(home, folder or Path(mkdtemp(dir=home)), is_fresh=folder is None)
    except (OSError, Timeout):
        return CompileCache(None, Path(stack.enter_context(TemporaryDirectory(prefix="ganvas-compiled-"))), True)


def _find_whole(home: Path) -> Path | None:
    """Return the folder whose files are all as listed, without those that are not in the list; or None."""
    try:
        listed = json.loads((home / _LIST).read_text(encoding="utf-8"))
        folder = home / Path(str(listed["folder"])).name
        digests: dict[str, str] = dict(listed["files"])
        if any(hash_file(folder / name) != digest for name, digest in digests.items()):
            return None
        for name, _ in _list_files(folder):
            if name not in digests:
                (folder / name).unlink()
        (home / _LIST).touch()
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return folder


def _list_files(folder: Path) -> list[tuple[str, os.stat_result]]:
    found = []
    for path in sorted(folder.rglob("*")):
        # Some are there for a moment alone.
        with suppress(FileNotFoundError):
            if path.is_file():
                found.append((path.relative_to(folder).as_posix(), path.stat()))
    return found


def _remove_unused(root: Path, own: Path) -> None:
    """Remove the folders that no run has used for a month."""
    for home in root.iterdir():
        with suppress(OSError, Timeout):
            newest = max(entry.stat().st_mtime for entry in (home, *home.glob(_LIST)))
            if home != own and time.time() - newest > _UNUSED_SECONDS:
                with FileLock(home / ".lock").acquire(blocking=False):
                    shutil.rmtree(home, ignore_errors=True)
