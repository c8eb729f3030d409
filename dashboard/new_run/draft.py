"""From what was typed into the form to a checked spec. What comes is not trusted, and nothing of it is lost."""

import re
import secrets
from collections.abc import Mapping

import yaml

from dashboard.new_run.form import FIELDS, YAML_FIELD, Draft
from ganlib.errors import Problem, SpecInvalid
from ganlib.spec.files import apply_overrides, read_spec_text
from ganlib.spec.job import JobSpec, parse_spec

# The largest recipe has 4 kB; YAML is read at some 50 kB a second.
MAX_YAML = 65_536
_KEY = re.compile(r"[\w-]{16,64}", re.ASCII)
WAS = "was."


def new_key() -> str:
    """Return a key for a new form."""
    return secrets.token_urlsafe(16)


def read_draft(form: Mapping[str, str]) -> Draft:
    """Return what stood in a posted form. Browsers send line ends as CRLF, which YAML need not see."""
    fields = {field.path: form.get(field.path, "").strip() for field in FIELDS}
    was = {field.path: form.get(f"{WAS}{field.path}", "") for field in FIELDS}
    key = form.get("key", "")
    text = form.get(YAML_FIELD, "").replace("\r\n", "\n")
    return Draft(fields, was, text, key if _KEY.fullmatch(key) else new_key())


def read_spec(draft: Draft) -> JobSpec:
    """Return the spec that the YAML gives with the fields that were changed; raises SpecInvalid."""
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
        # The YAML may hold something else where the path leads, or the value may be no YAML.
        raise SpecInvalid([Problem(path, typed[:80], "this value cannot be set in the spec")]) from None


def _read_yaml(text: str) -> dict[str, object]:
    """Return the mapping in a spec's YAML; raises SpecInvalid."""
    if len(text) > MAX_YAML:
        raise _refuse(f"a spec here holds at most {MAX_YAML:,} characters")
    try:
        # Aliases let a few lines stand for billions: no spec needs them.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise _refuse("aliases (*name) are not taken here; write the value itself")
        return read_spec_text(text, "yaml")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise _refuse(f"this is no YAML{where}: {getattr(error, 'problem', None) or error}"[:300]) from None
    except SpecInvalid as error:
        raise _refuse(error.problems[0].message) from None
    except (RecursionError, ValueError, OverflowError):
        raise _refuse("this YAML cannot be read") from None


def _refuse(message: str) -> SpecInvalid:
    return SpecInvalid([Problem("", "", message)])
