"""Writes the folder `wandb` beside this file, with wandb 0.31 offline: `python make_wandb.py`."""

import math
import os
import shutil
from pathlib import Path

import numpy as np
import wandb

HERE = Path(__file__).parent
STEPS = range(0, 100, 10)


def draw(step: int, cells: int = 1) -> list[np.ndarray]:
    """Return uint8 images (8, 8, 3) that differ from step to step."""
    return list(np.random.default_rng(step).integers(0, 256, (cells, 8, 8, 3), dtype=np.uint8))


def main() -> None:
    """Log one run that ends well."""
    shutil.rmtree(HERE / "wandb", ignore_errors=True)
    os.chdir(HERE)
    config = {"lr": 2e-4, "loss": "hinge", "layers": {"sizes": [64, 128]}, "seed": 7}
    with wandb.init(
        project="gan", name="dcgan-mnist", mode="offline", config=config, tags=["mnist"], notes="A first try."
    ) as run:
        for step in STEPS:
            run.log({"loss/D": 1 / (step + 3), "loss_G": math.exp(-step / 30), "inner": {"a.b": step}}, step=step)
            if step in (0, 50):
                images = [wandb.Image(image) for image in draw(step, 4)]
                run.log({"samples": images, "real": wandb.Image(draw(step + 1)[0], file_type="jpg")}, step=step)
                run.log({"weights": wandb.Histogram(np.random.default_rng(step).normal(size=500))}, step=step)
        run.log({"not a number": math.nan, "infinite": -math.inf, "word": "hello"}, step=100)
        run.summary["best/fid"] = 12.5
        run.config.update({"late": True})
    for path in (HERE / "wandb").iterdir():
        if path.is_symlink() or path.suffix == ".log" or path.name == "settings":
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path / "logs", ignore_errors=True)


if __name__ == "__main__":
    main()
