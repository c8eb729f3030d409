"""What MLflow's names may hold: keys of metrics, params and tags, models, aliases, and paths of artifacts."""

import posixpath
import re
from collections.abc import Iterable
from urllib.parse import unquote

from api.mlflow.protocol.errors import MlflowError, invalid

MAX_KEY = 250
MAX_PARAM_VALUE = 6000
MAX_TAG_VALUE = 8000
MAX_EXPERIMENT_NAME = 500
MAX_EXPERIMENT_TAG_VALUE = 20_000
MAX_REGISTRY_TAG_VALUE = 100_000
MAX_MODEL_NAME = 256
MAX_ALIAS = 255
MAX_PATH = 500
MAX_RUN_NAME = 250
_KEY = re.compile(r"[/\w.\- :]*")
_ALIAS = re.compile(r"[\w\-]*")
_VERSION_ALIAS = re.compile(r"[vV]\d+")
_KEY_CHARACTERS = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) "
    "and slashes (/)."
)
_ALIAS_CHARACTERS = "Names may only contain alphanumerics, underscores (_), and dashes (-)."


def check_key(key: str, path: str, length_name: str) -> None:
    """Raise MlflowError for a key of a metric, param or tag that MLflow refuses."""
    if not key:
        raise invalid(f"Invalid value \"\" for parameter '{path}' supplied: A key name must be provided.")
    if not _KEY.fullmatch(key):
        raise invalid(f"Invalid value \"{key[:300]}\" for parameter '{path}' supplied: {_KEY_CHARACTERS}")
    _check_unique(key, path)
    check_length(length_name, MAX_KEY, key)


def check_length(name: str, most: int, value: str) -> None:
    """Raise MlflowError for a text that is too long."""
    if len(value) > most:
        raise invalid(f"'{name}' exceeds the maximum length of {most} characters")


def cut(value: str, most: int) -> str:
    """Shorten a text as MLflow's server does, which keeps the beginning of long values of params and tags."""
    return value[:most]


def check_experiment_name(name: str) -> None:
    """Raise MlflowError for a name of an experiment that is empty or too long."""
    if not name:
        raise invalid(f"Invalid experiment name: '{name}'")
    check_length("name", MAX_EXPERIMENT_NAME, name)


def check_model_name(name: str, field: str = "name") -> None:
    """Raise MlflowError for a name of a registered model that is empty, too long or holds a separator."""
    if not name.strip():
        raise invalid(f"Missing value for required parameter '{field}'.")
    if "/" in name or ":" in name:
        raise invalid(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    _check_unique(name, field)
    check_length(field, MAX_MODEL_NAME, name)


def check_alias(alias: str, *, is_new: bool = False) -> None:
    """Raise MlflowError for an alias of a model's version that MLflow refuses."""
    if not alias:
        raise invalid("Registered model alias name cannot be empty.")
    if not _ALIAS.fullmatch(alias):
        raise invalid(f"Invalid alias name: '{alias}'. {_ALIAS_CHARACTERS}")
    check_length("Registered model alias name", MAX_ALIAS, alias)
    if is_new and alias.lower() == "latest":
        raise invalid("'latest' alias name (case insensitive) is reserved.")
    if is_new and _VERSION_ALIAS.fullmatch(alias):
        raise invalid(f"Version alias name '{alias}' is reserved.")


def read_version(text: str) -> int:
    """Return the number of a model's version."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise invalid(f"Parameter 'version' must be an integer, got '{text}'.")
    return int(text)


def check_unique_keys(keys: Iterable[str]) -> None:
    """Raise MlflowError for keys of params that are given twice."""
    seen: set[str] = set()
    doubled = [key for key in keys if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
    if doubled:
        raise invalid(
            f"Duplicate parameter keys have been submitted: {doubled}. Please ensure "
            "the request contains only one param value per param key."
        )


def check_path(path: str) -> str:
    """Return the name of an artifact, which is a key and reaches no disk; raises MlflowError for anything else.

    Encoded characters are read until none is left, so that no other program reads a name of ours as a way out.
    """
    decoded = path
    while (plain := unquote(decoded)) != decoded:
        decoded = plain
    if not path.isprintable() or _leads_elsewhere(path) or _leads_elsewhere(decoded):
        raise invalid("Invalid path")
    check_length("path", MAX_PATH, path)
    return path


def _leads_elsewhere(path: str) -> bool:
    is_absolute = path[1:2] == ":" or path.lower().startswith("file:")
    return is_absolute or "\\" in path or "#" in path or any(part in ("", ".", "..") for part in path.split("/"))


def _check_unique(name: str, path: str) -> None:
    plain = posixpath.normpath(name)
    if plain != name or plain == "." or plain.startswith(("..", "/")):
        raise _names_a_file(name, path, plain)


def _names_a_file(name: str, path: str, plain: str) -> MlflowError:
    return invalid(
        f"Invalid value \"{name}\" for parameter '{path}' supplied: Names may be treated as files in certain "
        f"cases, and must not resolve to other names when treated as such. This name would resolve to {plain!r}"
    )
