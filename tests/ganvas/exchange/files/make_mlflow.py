"""Writes the folder `mlflow` beside this file, with mlflow 3.17: `python make_mlflow.py`.

A file store, and the five tables of a database that hold runs, as SQL: the whole is a megabyte.
"""

import math
import os
import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

import mlflow
import numpy as np

HERE = Path(__file__).parent / "mlflow"
TABLES = ("experiments", "runs", "metrics", "params", "tags")
STEPS = range(0, 100, 10)


def draw(step: int) -> np.ndarray:
    """Return a uint8 image (8, 8, 3) that differs from step to step."""
    return np.random.default_rng(step).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def log(address: str, artifacts: str | None = None) -> None:
    """Log a run that ends well and one that fails."""
    mlflow.set_tracking_uri(address)
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("gan", artifact_location=artifacts))
    with mlflow.start_run(run_name="dcgan-mnist", tags={"team": "a"}, description="A first try."):
        mlflow.log_params({"lr": 2e-4, "loss": "hinge", "seed": 7, "augment": True})
        for step in STEPS:
            mlflow.log_metrics({"loss/D": 1 / (step + 3), "loss_G": math.exp(-step / 30)}, step=step)
            if step in (0, 50):
                mlflow.log_image(draw(step), key="samples", step=step)
                mlflow.log_image(draw(step + 1), f"real/{step:04d}.png")
        for step, value in enumerate((math.nan, math.inf, -math.inf)):
            mlflow.log_metric("not finite", value, step=step)
        mlflow.log_text("hello", "notes/a.txt")
    try:
        with mlflow.start_run(run_name="broken"):
            mlflow.log_metric("a", 1.0)
            raise RuntimeError
    except RuntimeError:
        pass


def main() -> None:
    """Write both."""
    shutil.rmtree(HERE, ignore_errors=True)
    log((HERE / "mlruns").as_uri())
    for path in HERE.glob("mlruns/**/meta.yaml"):
        path.write_text(path.read_text(encoding="utf-8").replace(str(HERE.parent), "/gone"), encoding="utf-8")
    shutil.rmtree(HERE / "mlruns" / "0", ignore_errors=True)
    with TemporaryDirectory() as folder:
        log(f"sqlite:///{folder}/mlflow.db", f"file://{folder}/mlruns/1")
        with sqlite3.connect(f"{folder}/mlflow.db") as connection:
            keep = [
                line
                for line in connection.iterdump()
                if any(line.startswith((f'CREATE TABLE "{name}"', f'INSERT INTO "{name}"')) for name in TABLES)
                or line.startswith(tuple(f"CREATE TABLE {name} " for name in TABLES))
            ]
        connection.close()
    (HERE / "mlflow.sql").write_text("\n".join(keep).replace(folder, "/gone"), encoding="utf-8")


if __name__ == "__main__":
    main()
