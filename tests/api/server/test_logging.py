"""Log lines that say what they are about."""

import errno
import json
import logging
import sqlite3
from collections.abc import Iterator

import pytest
from botocore.exceptions import EndpointConnectionError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from api.errors import ServiceError, ServiceUnavailable, StorageFull
from api.server.operations.logging import log_about, set_up_logs


@pytest.fixture(autouse=True)
def root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level


def test_json_lines_carry_job_attempt_and_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GANVAS_LOG", "json")
    set_up_logs()
    logger = logging.getLogger("any")
    logger.info("before")
    with log_about("job1", 2):
        try:
            raise ValueError("broken\nline")
        except ValueError:
            logger.exception("it %s", "broke")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first.keys() == {"at", "level", "logger", "message"}
    assert (second["job_id"], second["attempt"], second["message"], second["level"]) == (
        "job1",
        2,
        "it broke",
        "error",
    )
    assert "ValueError: broken\nline" in second["traceback"]


def test_text_lines_name_the_job_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GANVAS_LOG", raising=False)
    set_up_logs()
    logging.getLogger("any").info("before")
    with log_about("job1", 2):
        logging.getLogger("any").info("inside")
    before, inside = capsys.readouterr().err.splitlines()
    assert before.endswith("INFO any: before")
    assert inside.endswith("INFO any [job job1, attempt 2]: inside")


OUTAGES = [
    OperationalError("BEGIN IMMEDIATE", {}, sqlite3.OperationalError("database is locked")),
    OperationalError("SELECT 1", {}, ConnectionError("server closed the connection\nunexpectedly")),
    PoolTimeout("QueuePool limit of size 5 overflow 10 reached"),
    ServiceUnavailable("The file store cannot be reached; try again shortly."),
    StorageFull(),
    OSError(errno.ENOSPC, "No space left on device"),
    EndpointConnectionError(endpoint_url="http://store"),
]
FAULTS = [
    OperationalError("SELECT x", {}, sqlite3.OperationalError("no such column: x")),
    KeyError("x"),
    FileNotFoundError(errno.ENOENT, "No such file"),
    OSError("of no kind"),
    ServiceError(),
]


def log_error(error: BaseException, capsys: pytest.CaptureFixture[str]) -> str:
    set_up_logs()
    try:
        raise error from ValueError("its cause")
    except type(error):
        logging.getLogger("any").exception("Error %s: GET /jobs", "12ab")
    return capsys.readouterr().err


@pytest.mark.parametrize("error", OUTAGES, ids=repr)
def test_what_is_away_or_full_is_told_on_one_line(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GANVAS_LOG", raising=False)
    [line] = log_error(error, capsys).splitlines()
    said = str(getattr(error, "orig", error)).partition("\n")[0]
    assert "ERROR any: Error 12ab: GET /jobs (" in line
    assert said in line
    monkeypatch.setenv("GANVAS_LOG", "json")
    assert "traceback" not in json.loads(log_error(error, capsys))


@pytest.mark.parametrize("error", FAULTS, ids=repr)
def test_control_what_is_wrong_in_the_code_keeps_its_traceback(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GANVAS_LOG", raising=False)
    assert "Traceback" in log_error(error, capsys)
