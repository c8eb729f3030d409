"""Specs as YAML text that readers of YAML 1.1 and of YAML 1.2 understand alike."""

from typing import Any

import yaml

from ganlib.spec.documents.scalars import FLOAT, INTEGER

_ANY = 1_000_000


class _Dumper(yaml.SafeDumper):
    """PyYAML's, which also quotes texts that are numbers only in YAML 1.2, such as the commit 12e5678."""


for _tag, _pattern in (("int", INTEGER), ("float", FLOAT)):
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list("-+.0123456789"))


def render_yaml(data: Any, *, width: int = 80, small_on_one_line: bool = False) -> str:
    """Return the data as YAML, its fields in their own order.

    small_on_one_line: lists and mappings without others in them stand on one line.
    """
    flow = None if small_on_one_line else False
    text: str = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, default_flow_style=flow, width=width, allow_unicode=True
    )
    return text


def render_line(data: Any) -> str:
    """Return the data as YAML on one line, as it stands behind a field's name, or in a list or mapping."""
    text: str = yaml.dump(
        [data], Dumper=_Dumper, sort_keys=False, default_flow_style=True, width=_ANY, allow_unicode=True
    )
    return text.strip()[1:-1]
