"""`make watch`: runs the tests of what differs from the last commit, then those of each file that is saved."""

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("api", "dashboard", "ganlib", "ganvas", "worker")
LOOK_EVERY_SECONDS = 0.5


def list_files(*options: str) -> set[Path]:
    """Return the files that git names with these options, relative to the root."""
    command = ["git", *options, "-z"]
    named = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {Path(name) for name in named.split("\0") if name}


def find_tests(changed: Iterable[Path]) -> set[Path]:
    """Return the tests of changed files: a test itself, else the nearest folder that mirrors a file's own."""
    found = set()
    for path in changed:
        if path.parts[0] == "tests" and path.name.startswith("test_"):
            found |= {path} if (ROOT / path).exists() else set()
        elif path.parts[0] == "tests" and path.parts[1] not in ("support", "containers"):
            found.add(_nearest(path.parent))
        elif path.parts[0] in PACKAGES:
            found |= {_nearest("tests" / path.parent), Path("tests/project/test_house.py")}
            browsed = Path("tests/dashboard/in_browser", *path.parts[1:2])
            found |= {browsed} if path.parts[0] == "dashboard" and (ROOT / browsed).is_dir() else set()
    return {path for path in found if not found & set(path.parents)}


def _nearest(folder: Path) -> Path:
    while not (ROOT / folder).is_dir():
        folder = folder.parent
    return folder


def read_times() -> dict[Path, int]:
    """Return when each file that is git's, or may become so, was written last."""
    files = list_files("ls-files", "--cached", "--others", "--exclude-standard")
    return {path: (ROOT / path).stat().st_mtime_ns for path in files if (ROOT / path).is_file()}


def main(arguments: list[str]) -> None:
    """Run tests for ever; arguments are pytest's."""
    changed = list_files("diff", "--name-only", "HEAD") | list_files("ls-files", "--others", "--exclude-standard")
    while True:
        before = read_times()
        if tests := sorted(map(str, find_tests(changed))):
            print(f"\n{' '.join(tests)}", flush=True)
            subprocess.run([sys.executable, "-m", "pytest", "-q", "-x", *arguments, *tests], cwd=ROOT)
        while (now := read_times()) == before:
            time.sleep(LOOK_EVERY_SECONDS)
        changed = {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
