"""The forms that runs go out in."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganvas.exchange.outgoing.folders import ExportRefused
from ganvas.exchange.sources import list_missing

# Form → (module and function that write it, packages that a plain install lacks).
_WRITERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "tensorboard": ("tensorboard", "write_tensorboard", ("tensorboard", "google_crc32c")),
    "csv": ("tables", "write_csv", ()),
    "parquet": ("tables", "write_parquet", ("pyarrow",)),
    "mlflow": ("mlflow", "write_mlflow", ("PIL",)),
}
FORMS = (*_WRITERS, "html")


def need_packages(form: str) -> None:
    """Raise ExportRefused with the extra to install if a form's packages are missing."""
    needed = _WRITERS[form][2] if form in _WRITERS else ()
    if missing := list_missing(needed):
        raise ExportRefused(
            f"Exporting to {form} needs more packages ({', '.join(missing)}): pip install 'ganvas[exchange]'"
        )


def find_writer(form: str) -> Callable[[Any, Path], Path]:
    """Return what writes a run in this form into a folder, and returns the path of what it wrote."""
    module, name, _ = _WRITERS[form]
    loaded = importlib.import_module(f"ganvas.exchange.outgoing.{module}")
    writer: Callable[[Any, Path], Path] = getattr(loaded, name)
    return writer
