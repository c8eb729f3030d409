"""What a spec says about faults: refused in words, and found by its path."""

from typing import Any

import pytest

from ganlib.errors import SpecInvalid
from ganlib.spec.parse import parse_spec
from ganlib.spec.paths import NoSuchField, resolve_field
from tests.support.fake_worker import make_spec


@pytest.mark.parametrize(
    ("on", "field", "message"),
    [
        ({"MODE-COLLAPSE": "stop"}, "on", "did you mean mode_collapse?"),
        ({"mode_colapse": "stop"}, "on", "did you mean mode_collapse?"),
        ({"🙂": "stop"}, "on", "there is no such fault; known: divergence"),
        ({"": "stop"}, "on", "there is no such fault"),
        ({"divergence": "stopp"}, "on.divergence.action", "did you mean stop?"),
        (
            {"divergence": {"action": "rollback", "change": {"optimisers.generator.learning_rate": -1}}},
            "on.divergence.change.optimisers.generator.learning_rate",
            "must be greater than 0",
        ),
        (
            {"divergence": {"action": "rollback", "change": {"generator_advantage": True}}},
            "on.divergence.change.generator_advantage",
            "must be a number, not true or false",
        ),
    ],
)
def test_what_is_done_about_a_fault_is_refused_in_words(on: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(SpecInvalid) as refused:
        parse_spec(make_spec(on=on))
    [problem] = refused.value.problems
    assert problem.field == field
    assert message in problem.message
    assert "pattern" not in problem.message


def test_what_is_done_about_a_fault_has_a_path() -> None:
    assert resolve_field("on.mode_collapse") == ("on", "mode_collapse", "action")
    assert resolve_field("on.mode_collapse.at_most") == ("on", "mode_collapse", "at_most")
    assert resolve_field("on") == ("on",)
    with pytest.raises(NoSuchField, match=r"did you mean on\.mode_collapse\.action"):
        resolve_field("on.mode_collapse.acton")
