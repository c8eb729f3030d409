"""Runs as a table: CSV for spreadsheets, JSON lines for programs."""

import csv
import io
import json
import tracemalloc
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from api.errors import RequestInvalid
from api.jobs.queries import JobFilters
from api.jobs.tables import rows as table
from api.jobs.tables.rows import TableRequest, flatten, name_metric, stream_csv, stream_jsonl
from api.server.database.engine import Database
from tests.support.services import TINY_SPEC, add_claimed_job, add_job, make_metrics, post


def read_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def read_lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def stream(session: Session, filters: JobFilters | None = None, **fields: Any) -> list[dict[str, str]]:
    return read_csv(b"".join(stream_csv(session, TableRequest(filters or JobFilters(), **fields))))


def test_a_row_has_every_field_of_the_spec_and_every_newest_metric(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session, name="first", tags=["a", "b c"], losses={"generator": "minimax"})
        post(session, job, [make_metrics(5, loss_generator=float("nan"), eval_fid=-12.5)])
        add_job(session, name="second")
    with database.read() as session:
        rows = stream(session, sort="name")
        lines = read_lines(b"".join(stream_jsonl(session, TableRequest(JobFilters(), "name"))))
    first, second = rows
    assert (first["name"], first["state"], first["tags"], first["iteration"]) == (
        "first",
        "running",
        "a, b c",
        "5",
    )
    assert (first["losses.generator"], first["generator.layers.0.size"], first["latents.size"]) == (
        "minimax", "64", "2",
    )  # fmt: skip
    # A number stays one that programs read, also below zero.
    assert (first["eval/fid"], first["loss/generator"]) == ("-12.5", "nan")
    assert (second["name"], second["eval/fid"], second["started_at"]) == ("second", "", "")
    assert lines[0]["tags"] == ["a", "b c"]
    assert (lines[0]["eval/fid"], lines[0]["loss/generator"]) == (-12.5, "nan")
    assert "eval/fid" not in lines[1]
    assert set(lines[0]) <= set(first)


def test_texts_that_a_spreadsheet_would_run_are_quoted_and_numbers_are_not() -> None:
    cells = {"=1+1": "'=1+1", "@a": "'@a", "+1": "'+1", "-x": "'-x", "-inf": "-inf", "a=1": "a=1", "\tx": "'\tx"}
    assert {text: table._write_cell(text) for text in cells} == cells
    assert [table._write_cell(value) for value in (-0.5, 3, True, [], {})] == [
        "-0.5", "3", "true", "[]", "{}",
    ]  # fmt: skip


def test_a_document_is_flattened_to_the_paths_that_set_takes() -> None:
    document = {"a": {"b": [1, {"c": None}]}, "d": [], "e": "x"}
    assert flatten(document) == {"a.b.0": 1, "a.b.1.c": None, "d": [], "e": "x"}


@pytest.mark.parametrize(
    ("metric", "column"),
    [
        ("eval/fid", "eval/fid"), ("loss_D", "loss_D"), ("iteration", "metrics.iteration"),
        ("seed", "metrics.seed"), ("config.lr", "metrics.config.lr"),
    ],
)  # fmt: skip
def test_a_metric_never_takes_the_place_of_a_field(metric: str, column: str) -> None:
    assert name_metric(metric) == column


def test_the_table_takes_the_filters_of_the_list(client: TestClient) -> None:
    for name in ("one", "two", "three"):
        client.post("/jobs", json=TINY_SPEC | {"name": name, "tags": [name[0]]})
    answer = client.get("/jobs.csv", params={"tag": "t", "sort": "name", "where": "latents.size=2"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="runs.csv"'
    assert [row["name"] for row in read_csv(answer.content)] == ["three", "two"]
    assert [line["name"] for line in read_lines(client.get("/jobs.jsonl", params={"limit": 2}).content)] == [
        "three", "two",
    ]  # fmt: skip
    assert client.get("/jobs.csv", params={"tags": "t"}).json()["error"]["code"] == "request_invalid"
    assert client.get("/jobs.csv", params={"sort": "latent.size"}).status_code == 422
    assert client.get("/jobs.xlsx").status_code in (404, 422)


def test_an_empty_table_still_has_its_heading(client: TestClient) -> None:
    assert client.get("/jobs.csv").text.startswith("id,name,state,")
    assert client.get("/jobs.jsonl").text == ""


def test_too_many_columns_are_refused_before_the_first_row(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as session:
        add_job(session)
    monkeypatch.setattr(table, "MOST_COLUMNS", 10)
    with database.read() as session:
        with pytest.raises(RequestInvalid, match=r"more than 10 fields and metrics together.*/jobs\.jsonl"):
            stream(session)
        assert len(b"".join(stream_jsonl(session, TableRequest(JobFilters())))) > 100


def test_only_some_rows_are_in_memory_at_once(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite.write() as session:
        for index in range(240):
            add_job(session, name=f"n{index}", description="x" * 4000)

    def measure_peak(rows_at_once: int) -> int:
        monkeypatch.setattr(table, "ROWS_AT_ONCE", rows_at_once)
        with sqlite.read() as session:
            tracemalloc.start()
            count = sum(len(part) for part in stream_csv(session, TableRequest(JobFilters())))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert count > 960_000
        return peak

    measure_peak(10)
    # The control has all rows in one piece.
    assert measure_peak(10) * 2 < measure_peak(240)
