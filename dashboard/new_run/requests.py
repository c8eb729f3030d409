"""Reads the posted form: a draft that keeps everything that was typed, and its checked spec."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dashboard.new_run.view import FIELDS, YAML_FIELD, Draft, show_field
from ganlib.errors import Problem, SpecInvalid
from ganlib.spec.files import apply_overrides, read_spec_text
from ganlib.spec.job import JobSpec
from ganlib.spec.parse import parse_spec

# The largest recipe has 4 kB.
MAX_YAML = 65_536
_KEY = re.compile(r"[\w-]{16,64}", re.ASCII)
WAS = "was."
# Of a spec by an address.
MAX_CHANGES = 32


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


def list_changes(draft: Draft) -> dict[str, str]:
    """Return the fields that were changed in the form, by their paths: they override the YAML."""
    return {
        field.path: draft.fields[field.path]
        for field in FIELDS
        if draft.fields[field.path] != draft.was[field.path]
    }


def follow_yaml(draft: Draft) -> Draft:
    """Return the draft whose fields say what the YAML says, but for those that were changed in the form.

    So a field marks the value that is wrong, and not the one that the YAML had at first.
    """
    try:
        data = _read_yaml(draft.yaml)
    except SpecInvalid:
        return draft
    # Fields that the YAML leaves out have defaults, which the form shows already.
    told = {field.path: show_field(data, field.path) for field in FIELDS}
    unchanged = {path: text for path, text in told.items() if text and draft.fields[path] == draft.was[path]}
    return replace(draft, fields={**draft.fields, **unchanged}, was={**draft.was, **unchanged})


@dataclass(frozen=True)
class ChangedSpec:
    """A spec before and after changes, and what is wrong with it afterwards; where one cannot be made, none is."""

    before: dict[str, Any]
    after: dict[str, Any]
    problems: list[Problem]


def change_spec(spec: dict[str, Any], changes: Sequence[str]) -> ChangedSpec:
    """Return the spec with each `path=value` set."""
    if not changes:
        return ChangedSpec(spec, spec, [])
    before = after = spec
    try:
        # With the fields that came since: nobody changes those.
        before = after = parse_spec(spec).model_dump(mode="json")
        after = apply_overrides(before, list(changes))
        return ChangedSpec(before, parse_spec(after).model_dump(mode="json"), [])
    except SpecInvalid as error:
        return ChangedSpec(before, after, error.problems)


def _override(data: dict[str, object], path: str, typed: str) -> dict[str, object]:
    try:
        return apply_overrides(data, [f"{path}={typed or 'null'}"])
    except SpecInvalid:
        # The YAML may have a value of another type at this path, or the typed value may be no YAML.
        raise SpecInvalid([Problem(path, typed[:80], "this value cannot be set in the spec")]) from None


def _read_yaml(text: str) -> dict[str, object]:
    """Return the mapping in a spec's YAML; raises SpecInvalid."""
    if len(text) > MAX_YAML:
        raise SpecInvalid([Problem("", "", f"a spec here holds at most {MAX_YAML:,} characters")])
    return read_spec_text(text, "")
