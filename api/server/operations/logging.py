"""Log lines marked with their job and attempt, as text or as JSON."""

import errno
import json
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

# Job and attempt that this thread currently works for.
_about: ContextVar[tuple[str, int] | None] = ContextVar("ganvas_log_about", default=None)
TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s%(about)s: %(message)s"

# Known by name: a worker needs neither SQLAlchemy nor boto3.
_OUTAGES = {
    "api.errors.ServiceUnavailable",
    "api.errors.StorageFull",
    "sqlalchemy.exc.OperationalError",
    "sqlalchemy.exc.TimeoutError",
    "botocore.exceptions.BotoCoreError",
    "kombu.exceptions.OperationalError",
    "redis.exceptions.ConnectionError",
    "redis.exceptions.TimeoutError",
}
_SQLITE_OUTAGES = ("locked", "disk", "readonly", "unable to open", "full")
_OUTAGE_CODES = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EROFS, errno.ENOTCONN}


@contextmanager
def log_about(job_id: str, attempt: int) -> Iterator[None]:
    """Mark this thread's log lines with job and attempt inside the block."""
    token = _about.set((job_id, attempt))
    try:
        yield
    finally:
        _about.reset(token)


class AboutFilter(logging.Filter):
    """Gives each record the attributes job_id, attempt and about."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attributes; keep every record."""
        about = _about.get()
        record.job_id, record.attempt = about or (None, None)
        record.about = f" [job {about[0]}, attempt {about[1]}]" if about else ""
        return True


class OutageFilter(logging.Filter):
    """Puts on one line that the database, the file store, the broker or the disk is away or full.

    That is known, and told with every request: a traceback each would fill the disk and hide the rest.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the cause behind the message, instead of a traceback; keep every record."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and is_outage(error):
            record.msg, record.args = f"{record.getMessage()} ({describe_outage(error)})", None
            record.exc_info = record.exc_text = None
        return True


def is_outage(error: BaseException) -> bool:
    """Return whether an error says that something around this process is away or full: no code is wrong."""
    if isinstance(error, OSError):
        return error.errno in _OUTAGE_CODES
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    if not names & _OUTAGES:
        return False
    # SQLite also calls a missing table and wrong SQL by this name.
    cause = getattr(error, "orig", None)
    return not isinstance(cause, sqlite3.Error) or any(word in str(cause) for word in _SQLITE_OUTAGES)


def describe_outage(error: BaseException) -> str:
    """Return the error and what caused it on one line."""
    cause = getattr(error, "orig", None) or error.__cause__
    parts = [error] if cause is None else [cause] if hasattr(error, "orig") else [error, cause]
    return "; ".join(f"{type(part).__name__}: {str(part).strip().partition(chr(10))[0]}" for part in parts)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at, level, logger, message; job_id, attempt and traceback where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if getattr(record, "job_id", None) is not None:
            line |= {"job_id": record.job_id, "attempt": record.attempt}  # type: ignore[attr-defined]
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_logs(level: int = logging.INFO) -> None:
    """Configure all loggers to write to stderr, as JSON where GANVAS_LOG is `json`, else as text."""
    handler = logging.StreamHandler()
    handler.addFilter(AboutFilter())
    handler.addFilter(OutageFilter())
    is_json = os.environ.get("GANVAS_LOG", "text").lower() == "json"
    handler.setFormatter(JsonFormatter() if is_json else logging.Formatter(TEXT_FORMAT))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
