"""Writes the folder `trackio` beside this file, with trackio 0.43 and pyarrow: `python make_trackio.py`.

A database is kept as SQL, because its empty tables alone are a quarter of a megabyte.
"""

import math
import os
import shutil
import sqlite3
from pathlib import Path

HERE = Path(__file__).parent / "trackio"
os.environ["TRACKIO_DIR"] = str(HERE)

import numpy as np  # noqa: E402
import trackio  # noqa: E402
from trackio.sqlite_storage import SQLiteStorage  # noqa: E402

STEPS = range(0, 100, 10)


def draw(step: int) -> np.ndarray:
    """Return a uint8 image (8, 8, 3) that differs from step to step."""
    return np.random.default_rng(step).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def main() -> None:
    """Log one run."""
    shutil.rmtree(HERE, ignore_errors=True)
    trackio.init(project="gan", name="dcgan-mnist", config={"lr": 2e-4, "loss": "hinge", "seed": 7})
    for step in STEPS:
        values = {"loss/D": 1 / (step + 3), "loss_G": math.exp(-step / 30)}
        if step in (0, 50):
            values["samples"] = trackio.Image(draw(step))
            values["weights"] = trackio.Histogram(np.random.default_rng(step).normal(size=500))
        trackio.log(values, step=step)
    trackio.log({"not a number": math.nan, "infinite": -math.inf, "word": "hello"}, step=100)
    trackio.log_system({"gpu": 0.5})
    trackio.alert(title="Collapse", text="All images are equal.", level=trackio.AlertLevel.WARN)
    trackio.finish()
    SQLiteStorage._dataset_import_attempted = True
    SQLiteStorage.export_to_parquet()
    with sqlite3.connect(HERE / "gan.db") as connection:
        (HERE / "gan.sql").write_text("\n".join(connection.iterdump()), encoding="utf-8")
    connection.close()
    for path in HERE.glob("gan.*"):
        if path.suffix not in (".sql", ".parquet"):
            path.unlink()
    for path in HERE.glob("*.parquet"):
        if path.stem not in ("gan", "gan_configs", "gan_system"):
            path.unlink()


if __name__ == "__main__":
    main()
