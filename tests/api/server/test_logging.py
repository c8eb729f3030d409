"""Log lines that say what they are about."""

import json
import logging
from collections.abc import Iterator

import pytest

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
