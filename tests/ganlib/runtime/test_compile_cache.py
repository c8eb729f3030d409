"""The cache of torch.compile: half a library that a killed process left is never loaded."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ganlib.runtime import compile_cache as module
from ganlib.runtime.compile_cache import TORCH_VARIABLE, CompileCache, compile_cache, current_cache

LIBRARY = b"\x7fELF a whole library"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all caches, of which nothing else knows."""
    monkeypatch.delenv(TORCH_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "ganvas/compiled"


def own_folder() -> Path:
    return Path(os.environ[TORCH_VARIABLE])


def compile_something(content: str = "a spec") -> Path:
    """Leave a library, as a run that ends does; returns it."""
    with compile_cache(content) as cache:
        library = own_folder() / "ab" / "kernel.so"
        library.parent.mkdir(parents=True, exist_ok=True)
        library.write_bytes(LIBRARY)
        assert current_cache() is cache
    assert current_cache() is None
    assert TORCH_VARIABLE not in os.environ
    return library


def test_a_run_finds_what_one_of_the_same_content_compiled(root: Path) -> None:
    library = compile_something()
    assert library.is_relative_to(root)
    with compile_cache("a spec") as cache:
        assert (own_folder(), cache.is_fresh) == (library.parents[1], False)
        assert library.read_bytes() == LIBRARY
    with compile_cache("another spec") as cache:
        assert cache.is_fresh
        assert not list(own_folder().iterdir())


class Killed(BaseException):
    """The end of a process that cannot tidy up."""


@contextmanager
def killed_at_its_end() -> Iterator[CompileCache]:
    """A run whose process is killed where the block ends."""
    with suppress(Killed), compile_cache("a spec") as cache:
        yield cache
        raise Killed


@pytest.mark.parametrize("damage", [LIBRARY[:5], b"", LIBRARY + b"more"])
def test_a_damaged_library_is_thrown_away_with_its_folder(damage: bytes) -> None:
    library = compile_something()
    library.write_bytes(damage)
    with compile_cache("a spec") as cache:
        assert cache.is_fresh
        assert own_folder() != library.parents[1]
        assert not list(own_folder().iterdir())
    assert not library.exists()
    compile_something()


def test_control_without_the_check_it_would_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    library = compile_something()
    library.write_bytes(LIBRARY[:5])
    monkeypatch.setattr(module, "_find_whole", lambda home: library.parents[1])
    with compile_cache("a spec"):
        assert (own_folder() / "ab/kernel.so").read_bytes() == LIBRARY[:5]


def test_what_a_process_left_that_was_killed_while_it_compiled_is_thrown_away() -> None:
    with killed_at_its_end():
        half = own_folder() / "kernel.so"
        half.write_bytes(LIBRARY[:5])
    with compile_cache("a spec") as cache:
        assert cache.is_fresh
        # A compiler that outlived its process may still write to the old name.
        assert own_folder() != half.parent
    assert not half.parent.exists()


def test_half_a_library_beside_whole_ones_goes_alone() -> None:
    library = compile_something()
    with killed_at_its_end():
        half = own_folder() / "ab/later.so"
        half.write_bytes(LIBRARY[:5])
    with compile_cache("a spec") as cache:
        assert not cache.is_fresh
        assert (library.exists(), half.exists()) == (True, False)


def test_what_was_listed_before_a_kill_is_kept() -> None:
    with killed_at_its_end() as cache:
        library = own_folder() / "kernel.so"
        library.write_bytes(LIBRARY)
        cache.seal()
    with compile_cache("a spec") as cache:
        assert (cache.is_fresh, library.read_bytes()) == (False, LIBRARY)


def test_two_runs_at_once_share_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    with compile_cache("a spec"):
        first = own_folder()
        # As another process begins.
        monkeypatch.delenv(TORCH_VARIABLE)
        with compile_cache("a spec") as second:
            assert second.is_fresh
            own = own_folder()
            assert own != first
    assert not own.exists()
    assert first.exists()


def test_a_cache_that_cannot_be_loaded_all_the_same_is_replaced() -> None:
    library = compile_something()
    with compile_cache("a spec") as cache:
        cache.discard()
        assert cache.is_fresh
        assert not library.exists()
        (own_folder() / "kernel.so").write_bytes(LIBRARY)
        newest = own_folder()
    with compile_cache("a spec") as cache:
        assert (own_folder(), cache.is_fresh) == (newest, False)


def test_the_users_own_folder_is_used_and_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TORCH_VARIABLE, str(tmp_path / "own"))
    with compile_cache("a spec"):
        assert own_folder().is_relative_to(tmp_path / "own/ganvas")
    assert os.environ[TORCH_VARIABLE] == str(tmp_path / "own")


def test_folders_that_nobody_used_for_a_month_are_removed(root: Path) -> None:
    compile_something("an old spec")
    (old,) = root.iterdir()
    for path in (old, old / "whole.json"):
        os.utime(path, (0, 0))
    library = compile_something("a new spec")
    assert not old.exists()
    assert library.exists()


def test_where_nothing_can_be_kept_a_run_has_a_folder_of_its_own(root: Path) -> None:
    root.parent.mkdir(parents=True)
    root.write_text("no folder")
    with compile_cache("a spec") as cache:
        assert isinstance(cache, CompileCache)
        own = own_folder()
        assert own.exists()
    assert not own.exists()
