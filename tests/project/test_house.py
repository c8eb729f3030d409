"""The house's rules: no import circles, no crowded folders, no long files; each with a tree that breaks it."""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "dashboard", "ganlib", "ganvas", "worker")
FOLDERS = (*PACKAGES, "bench", "tests")
MOST_ENTRIES, MOST_LINES = 12, 400
# Lists of equal things, which grow by one file for each; and what others wrote.
LISTS = {"migrations", "versions", "recipes", "losses", "techniques", "vendor"}
# No entries of their own: what marks a package, and what programs leave behind.
UNCOUNTED = {"__init__.py", "py.typed", "__pycache__"}
COUNTED_LINES = {".py", ".js", ".css", ".html"}


def list_modules(root: Path, packages: Iterable[str]) -> dict[str, Path]:
    """Return the path of each module by its dotted name."""
    paths = [path for package in packages for path in sorted((root / package).rglob("*.py"))]
    names = [".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return dict(zip(names, paths, strict=True))


def list_imports(path: Path) -> Iterator[str]:
    """Yield each module, and name of one, that a file imports anywhere: in functions and for types as well."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def build_graph(root: Path, packages: Iterable[str]) -> dict[str, set[str]]:
    """Return the modules that each module imports; one does not count as importing the packages that hold it."""
    modules = list_modules(root, packages)
    return {
        name: {
            target
            for target in list_imports(path)
            if target in modules and target != name and not name.startswith(f"{target}.")
        }
        for name, path in modules.items()
    }


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of one circle, its first one again at the end; nothing if there is none."""
    finished: set[str] = set()
    for start in sorted(graph):
        # Modules on the way here, and for each what is still to be followed from it.
        way, ahead = [start], [iter(sorted(graph[start]))]
        while way and start not in finished:
            target = next(ahead[-1], None)
            if target is None:
                finished.add(way.pop())
                ahead.pop()
            elif target in way:
                return [*way[way.index(target) :], target]
            elif target not in finished:
                way.append(target)
                ahead.append(iter(sorted(graph[target])))
    return []


def find_crowded(root: Path, folders: Iterable[str]) -> list[str]:
    """Return the folders that hold too many entries, each with their number."""
    crowded = []
    for folder in (path for name in folders for path in [root / name, *sorted((root / name).rglob("*"))]):
        if not folder.is_dir() or "__pycache__" in folder.parts or LISTS & {*folder.relative_to(root).parts}:
            continue
        count = sum(entry.name not in UNCOUNTED for entry in folder.iterdir())
        if count > MOST_ENTRIES:
            crowded.append(f"{folder.relative_to(root)}: {count}")
    return crowded


def find_long(root: Path, folders: Iterable[str]) -> list[str]:
    """Return the files of source that have too many lines, each with their number."""
    long = []
    for path in (path for name in folders for path in sorted((root / name).rglob("*"))):
        if path.suffix in COUNTED_LINES and "vendor" not in path.parts:
            count = len(path.read_text(encoding="utf-8").splitlines())
            if count > MOST_LINES:
                long.append(f"{path.relative_to(root)}: {count}")
    return long


def write_tree(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_no_module_imports_itself_through_others() -> None:
    circle = find_circle(build_graph(ROOT, PACKAGES))
    assert not circle, f"import circle: {' -> '.join(circle)}"


def test_no_folder_holds_more_than_a_reader_takes_in() -> None:
    assert find_crowded(ROOT, FOLDERS) == []


def test_no_file_is_longer_than_a_subject() -> None:
    assert find_long(ROOT, FOLDERS) == []


def find_missing_tests(root: Path) -> list[str]:
    """Return the tests that docs name and that are not there; those of extending.md are for readers to write."""
    named = {
        (path.name, name)
        for path in (root / "docs").rglob("*.md")
        if path.name != "extending.md"
        for name in re.findall(r"`(tests/[\w/]+(?:\.py)?)`", path.read_text(encoding="utf-8"))
    }
    return sorted(f"{page}: {name}" for page, name in named if not (root / name).exists())


def test_every_test_that_the_docs_name_is_there() -> None:
    assert find_missing_tests(ROOT) == []


def test_a_test_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_tree(tmp_path, {"docs/a.md": "kept by `tests/x/test_b.py` and `tests/c`", "tests/c/test_d.py": ""})
    assert find_missing_tests(tmp_path) == ["a.md: tests/x/test_b.py"]


def test_a_circle_is_named_also_through_functions_and_types(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "room/__init__.py": "",
            "room/a.py": "from room import b",
            "room/b.py": "def late():\n    import room.c",
            "room/c.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from room.a import name",
            "room/d.py": "from room.a import other",
        },
    )
    assert find_circle(build_graph(tmp_path, ["room"])) == ["room.a", "room.b", "room.c", "room.a"]
    (tmp_path / "room/c.py").write_text("")
    assert find_circle(build_graph(tmp_path, ["room"])) == []


def test_a_crowded_folder_is_named(tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(MOST_ENTRIES)]
    write_tree(tmp_path, {f"room/{name}.py": "" for name in ["__init__", *names]})
    write_tree(tmp_path, {f"room/losses/{name}.py": "" for name in [*names, "more"]})
    assert find_crowded(tmp_path, ["room"]) == [f"room: {MOST_ENTRIES + 1}"]


def test_a_long_file_is_named(tmp_path: Path) -> None:
    write_tree(
        tmp_path, {"room/long.py": "\n" * 401, "room/short.py": "\n" * 400, "room/vendor/any.js": "\n" * 401}
    )
    assert find_long(tmp_path, ["room"]) == ["room/long.py: 401"]


def find_unpacked(root: Path, patterns: dict[str, list[str]]) -> list[str]:
    """Return the files of packages that are no code and that no pattern of `package-data` takes along."""
    lost = []
    for package in sorted(path for path in root.iterdir() if (path / "__init__.py").exists()):
        taken = {path for pattern in patterns.get(package.name, []) for path in package.glob(pattern)}
        lost += [
            str(path.relative_to(root))
            for path in sorted(package.rglob("*"))
            if path.is_file() and path.suffix not in {".py", ".pyc"} and path not in taken
        ]
    return lost


def test_an_installed_copy_has_every_file_that_is_no_code(tmp_path: Path) -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packages = [path for path in ROOT.iterdir() if (path / "__init__.py").exists() and path.name != "tests"]
    for package in packages:
        (tmp_path / package.name).symlink_to(package)
    assert find_unpacked(tmp_path, patterns) == []
    # Without one pattern its files stay behind, which a checkout never shows.
    lost = find_unpacked(tmp_path, {**patterns, "dashboard": patterns["dashboard"][:-1]})
    assert "dashboard/timeline/standalone.css" in lost
