"""A run as a table of its points, one a row, in CSV or Parquet, with pictures and description beside it."""

import csv
import json
from itertools import islice
from pathlib import Path

from ganvas.exchange.outgoing.folders import whole_folder
from ganvas.exchange.outgoing.runs import ExportedRun

COLUMNS = ("run", "name", "metric", "iteration", "value", "time")
_ROWS_AT_ONCE = 100_000


def write_csv(run: ExportedRun, home: Path) -> Path:
    """Write metrics.csv and histograms.jsonl, samples/ and run.json; returns the run's folder.

    Values are written so that reading gives the same float64; NaN and infinities are nan, inf and -inf. Times are
    of UTC, in ISO 8601.
    """
    with whole_folder(home / run.folder_name, run.job.id, "csv") as folder:
        with (folder / "metrics.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for metric, iteration, value, at in run.points():
                writer.writerow((run.job.id, run.job.name, metric, iteration, repr(value), at.isoformat()))
        _write_rest(run, folder)
    return home / run.folder_name


def write_parquet(run: ExportedRun, home: Path) -> Path:
    """Write metrics.parquet instead of the CSV; needs pyarrow."""
    import pyarrow
    from pyarrow import parquet

    text, moment = pyarrow.string(), pyarrow.timestamp("us", tz="UTC")
    types = (text, text, text, pyarrow.int64(), pyarrow.float64(), moment)
    schema = pyarrow.schema(list(zip(COLUMNS, types, strict=True)))
    with whole_folder(home / run.folder_name, run.job.id, "parquet") as folder:
        with parquet.ParquetWriter(folder / "metrics.parquet", schema) as writer:
            for name, points in run.curves.items():
                times = run.times(points)
                for start in range(0, len(points), _ROWS_AT_ONCE):
                    values = list(points.values[start : start + _ROWS_AT_ONCE])
                    steps = list(points.iterations[start : start + _ROWS_AT_ONCE])
                    columns = [[each] * len(values) for each in (run.job.id, run.job.name, name)]
                    moments = list(islice(times, _ROWS_AT_ONCE))
                    writer.write_table(pyarrow.table([*columns, steps, values, moments], schema=schema))
        _write_rest(run, folder)
    return home / run.folder_name


def _write_rest(run: ExportedRun, folder: Path) -> None:
    (folder / "run.json").write_text(run.describe(), encoding="utf-8")
    if run.histograms:
        with (folder / "histograms.jsonl").open("w", encoding="utf-8") as file:
            for histograms in run.histograms.values():
                file.writelines(json.dumps(each.model_dump(mode="json")) + "\n" for each in histograms)
    run.save_grids(folder / "samples")
    run.save_files(folder / "files")
