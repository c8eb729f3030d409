"""Finds out what a path or an address holds, and opens its runs."""

import importlib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from ganvas.exchange.records import Origin, SourceRun, SourceUnreadable

KINDS: tuple[Origin, ...] = get_args(Origin)
# What a plain install lacks, by kind.
_NEEDS: dict[Origin, tuple[str, ...]] = {
    "tensorboard": ("tensorboard", "google_crc32c", "PIL"),
    "wandb": ("google.protobuf", "PIL"),
    "trackio": ("PIL",),
    "mlflow": ("PIL",),
}


def open_source(given: str, kind: Origin | None = None, **options: Any) -> Iterator[SourceRun]:
    """Yield the runs of a path, or of an address of an MLflow server; raises SourceUnreadable.

    kind: without it the files tell.
    """
    is_address = given.startswith(("http://", "https://"))
    found = kind or ("mlflow" if is_address else recognise(Path(given)))
    if is_address and found != "mlflow":
        raise SourceUnreadable(f"{given} is an address; runs are fetched from MLflow servers only.")
    if not is_address and not Path(given).exists():
        raise SourceUnreadable(f"There is no file or folder {given!r}.")
    if missing := list_missing(_NEEDS[found]):
        raise SourceUnreadable(
            f"Importing from {found} needs more packages ({', '.join(missing)}): pip install 'ganvas[exchange]'"
        )
    module = _module("mlflow_server" if is_address else found)
    yield from module.find_runs(given if is_address else Path(given), **options)


def recognise(path: Path) -> Origin:
    """Return the kind of the runs at a path; raises SourceUnreadable where there are none or several kinds."""
    if not path.exists():
        raise SourceUnreadable(f"There is no file or folder {str(path)!r}.")
    kinds = [kind for kind in KINDS if _module(kind).is_source(path)]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise SourceUnreadable(f"{path} holds runs of {' and '.join(kinds)}; say which by --from.")
    raise SourceUnreadable(
        f"Nothing in {path} can be imported: no event files of TensorBoard, no .wandb file, no database of "
        "trackio, no runs of MLflow. Name the folder that holds them."
    )


def list_missing(packages: Sequence[str]) -> list[str]:
    """Return those of these modules that are not installed."""
    return [name for name in packages if not _is_installed(name)]


def _module(kind: str) -> Any:
    return importlib.import_module(f"ganvas.exchange.incoming.{kind}")


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
