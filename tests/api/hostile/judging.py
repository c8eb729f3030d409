"""What every answer to hostile input must be: no failure of the service, an error without its inside."""

import re
from typing import Any
from urllib.parse import urlsplit

from api.errors import ERRORS
from api.mlflow.protocol.errors import STATUSES

# What a traceback, a path or a database's message would bring.
_INSIDE = re.compile(
    r'Traceback|File "|\.py\b|site-packages|sqlalchemy|psycopg|sqlite3|/home/|/tmp/|\[SQL', re.IGNORECASE
)
_ERROR_ID = re.compile(r"[0-9a-f]{12}")


def judge(answer: Any, sent: str = "") -> None:
    """Fail unless this answer is inert.

    sent: what the caller itself wrote; an answer may say that again.
    """
    answer.read()
    what = f"{answer.request.method} {str(answer.request.url)[:200]} → {answer.status_code}"
    assert answer.status_code < 500 or answer.status_code == 507, f"{what}: {answer.text[:500]}"
    assert answer.headers["x-content-type-options"] == "nosniff", what
    assert "default-src" in answer.headers["content-security-policy"], what
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        judge_error(answer, what, sent)


def judge_error(answer: Any, what: str, sent: str) -> None:
    """Fail unless the error is one of the service's own and shows nothing of its inside."""
    if answer.headers["content-type"].startswith("application/json") and "error_code" in answer.json():
        # As MLflow's server writes them, on its routes alone.
        assert urlsplit(str(answer.request.url)).path.startswith(("/api/", "/ajax-api/")), what
        error = answer.json()
        assert STATUSES[error["error_code"]] == answer.status_code, what
        shown = error["message"]
    elif answer.headers["content-type"].startswith("application/json"):
        error = answer.json()["error"]
        assert ERRORS[error["code"]].status == answer.status_code, what
        assert _ERROR_ID.fullmatch(error["id"]), what
        shown = error["message"] + str(error["details"])
    else:
        assert answer.headers["content-type"].startswith("text/html"), what
        shown = answer.text
    inside = _INSIDE.search(shown)
    assert inside is None or inside[0] in sent, f"{what} shows {inside and inside[0]!r}: {shown[:500]}"
