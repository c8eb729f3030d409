"""Reads the posted form: a draft that keeps everything that was typed, and its checked spec."""

import re
import secrets
from collections.abc import Mapping

import yaml

from dashboard.new_run.view import FIELDS, YAML_FIELD, Draft
from ganlib.errors import Problem, SpecInvalid
from ganlib.spec.files import apply_overrides, read_spec_text
from ganlib.spec.job import JobSpec
from ganlib.spec.parse import parse_spec

# The largest recipe has 4 kB; YAML is read at some 50 kB a second.
MAX_YAML = 65_536
_KEY = re.compile(r"[\w-]{16,64}", re.ASCII)
WAS = "was."


def new_key() -> str:
    """Return a key for a new form."""
    return secrets.token_urlsafe(16)


def read_draft(form: Mapping[str, str]) -> Draft:
    """Return the values of a posted form, line ends as LF: browsers send CRLF."""
    fields = {field.path: form.get(field.path, "").strip() for field in FIELDS}
    was = {field.path: form.get(f"{WAS}{field.path}", "") for field in FIELDS}
    key = form.get("key", "")
    text = form.get(YAML_FIELD, "").replace("\r\n", "\n")
    return Draft(fields, was, text, key if _KEY.fullmatch(key) else new_key())


def read_spec(draft: Draft) -> JobSpec:
    """Return the spec of the YAML with the changed fields; raises SpecInvalid."""
    data = _read_yaml(draft.yaml)
    for field in FIELDS:
        typed = draft.fields[field.path]
        if typed == draft.was[field.path]:
            continue
        data = {**data, field.path: typed} if field.kind == "text" else _override(data, field.path, typed)
    return parse_spec(data)


def _override(data: dict[str, object], path: str, typed: str) -> dict[str, object]:
    try:
        return apply_overrides(data, [f"{path}={typed or 'null'}"])
    except SpecInvalid:
        # The YAML may have a value of another type at this path, or the typed value may be no YAML.
        raise SpecInvalid([Problem(path, typed[:80], "this value cannot be set in the spec")]) from None


def _read_yaml(text: str) -> dict[str, object]:
    """Return the mapping in a spec's YAML; raises SpecInvalid."""
    if len(text) > MAX_YAML:
        raise _refuse(f"a spec here holds at most {MAX_YAML:,} characters")
    try:
        # Aliases can expand a few lines to billions; no spec needs them.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise _refuse("aliases (*name) are not allowed here; write the value itself")
        return read_spec_text(text, "yaml")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise _refuse(f"this is not YAML{where}: {getattr(error, 'problem', None) or error}"[:300]) from None
    except SpecInvalid as error:
        raise _refuse(error.problems[0].message) from None
    except (RecursionError, ValueError, OverflowError):
        raise _refuse("this YAML cannot be read") from None


def _refuse(message: str) -> SpecInvalid:
    return SpecInvalid([Problem("", "", message)])
