"""The form that starts a run: its fields, what was typed in them, and each problem beside its field."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal

from api.server.specs.schemas import SpecReviewRead
from dashboard.web.formats import show_count
from dashboard.web.layout import Frame
from dashboard.web.specs import FieldRow
from ganlib.errors import Problem
from ganlib.spec.documents.differences import show_item
from ganlib.spec.layers import NEW_LAYERS, describe_layers, read_layer, trim_layer
from ganlib.spec.sections.losses import PARTNERS
from ganlib.spec.shapes import show_shape

YAML_FIELD = "yaml"
PLAYERS = ("generator", "discriminator")
_GENERATOR_LOSSES = tuple(dict.fromkeys(name for names in PARTNERS.values() for name in names))
# For each player's losses, the other player's losses that go with it, for a script.
_PARTNERS_OF: Mapping[str, Mapping[str, str]] = {
    "losses.discriminator": {name: " ".join(names) for name, names in PARTNERS.items()},
    "losses.generator": {
        loss: " ".join(name for name, names in PARTNERS.items() if loss in names) for loss in _GENERATOR_LOSSES
    },
}


@dataclass(frozen=True)
class FieldSpec:
    """One field of the form: the path of its value in a spec, its label, and its allowed values.

    player: whose it is; a player's fields stand with its network, whatever their group.
    """

    path: str
    label: str
    kind: Literal["text", "integer", "decimal", "choice"]
    help: str = ""
    choices: tuple[str, ...] = ()
    player: Literal["", "generator", "discriminator"] = ""
    group: Literal["essentials", "recording"] = "essentials"


FIELDS = (
    FieldSpec("name", "Name", "text"),
    FieldSpec("iterations", "Iterations", "integer"),
    FieldSpec("batch_size", "Batch size", "integer"),
    FieldSpec("seed", "Seed", "integer", "The same spec, seed, hardware and number of threads give the same run."),
    FieldSpec("dataset.labels", "Labels kept", "integer", "Of the training images; empty keeps all of them."),
    FieldSpec("device", "Device", "choice", choices=("auto", "cpu", "cuda")),
    FieldSpec("precision", "Precision", "choice", choices=("auto", "float32", "bfloat16")),
    FieldSpec("optimisers.generator.learning_rate", "Learning rate", "decimal", player="generator"),
    FieldSpec("losses.generator", "Loss", "choice", choices=_GENERATOR_LOSSES, player="generator"),
    FieldSpec("optimisers.discriminator.learning_rate", "Learning rate", "decimal", player="discriminator"),
    FieldSpec("losses.discriminator", "Loss", "choice", choices=tuple(PARTNERS), player="discriminator"),
    FieldSpec("discriminator_steps", "Updates", "integer", "For each of the generator's.", player="discriminator"),
    FieldSpec("log_every", "Iterations between points", "integer", "Of the curves.", group="recording"),
    FieldSpec("sample_every", "Iterations between grids", "integer", group="recording"),
    FieldSpec("checkpoint_every", "Iterations between checkpoints", "integer", group="recording"),
)


@dataclass(frozen=True)
class FieldView:
    """A field as the page shows it: its value, its first value, and its problem.

    partners: for each choice the values of the other player's field that go with it, separated by spaces.
    """

    id: str
    path: str
    label: str
    kind: str
    help: str
    choices: tuple[str, ...]
    partners: Mapping[str, str]
    player: str
    value: str
    was: str
    problem: str


@dataclass(frozen=True)
class ProblemView:
    """One problem, and a link to its part of the form."""

    field: str
    text: str
    href: str


@dataclass(frozen=True)
class Source:
    """The origin of the form's first values: a recipe or another run, whose id is `made_from`."""

    title: str
    introduction: str
    back_href: str
    back_text: str
    made_from: str = ""


@dataclass(frozen=True)
class Draft:
    """The values of the form: fields by path, their first values, the YAML, and the form's own key.

    A key that is posted twice with the same spec makes one run.
    """

    fields: Mapping[str, str]
    was: Mapping[str, str]
    yaml: str
    key: str


@dataclass(frozen=True)
class LayerView:
    """A layer in words: what it is, the shape after it ("" where it is unknown), its weights, its problem."""

    text: str
    shape: str
    parameters: str
    problem: str


@dataclass(frozen=True)
class PlayerView:
    """One player's fields and its network, layer by layer; without scripts it is read here and changed as YAML."""

    player: str
    fields: list[FieldView]
    preset: str
    given: str
    parameters: str
    layers: list[LayerView]


@dataclass(frozen=True)
class RunFormPage:
    """The form, after a refusal its problems, and the fields that the address changed: value before, value now.

    check_json, layers_json: for the script, the first check of the spec, and all kinds of layers.
    estimate: the time that the run takes, or "". made_from: the job whose spec it began with, or "".
    """

    title: str
    frame: Frame
    source: Source
    essentials: list[FieldView]
    players: list[PlayerView]
    recording: list[FieldView]
    yaml: str
    yaml_problem: str
    key: str
    problems: list[ProblemView]
    changes: Sequence[FieldRow]
    summary: str
    action: str
    estimate: str
    made_from: str
    check_json: str
    layers_json: str


def draft_of(spec: Mapping[str, Any], yaml_text: str, key: str) -> Draft:
    """Return the form's first values: `spec` has all its fields, `yaml_text` may leave some out."""
    values = {field.path: show_field(spec, field.path) for field in FIELDS}
    return Draft(values, values, yaml_text, key)


def build_run_form(
    source: Source,
    draft: Draft,
    action: str,
    frame: Frame,
    check: SpecReviewRead,
    problems: Sequence[Problem] = (),
    refusal: str = "",
    changes: Sequence[FieldRow] = (),
) -> RunFormPage:
    """Return the form with what was typed, and each problem beside its field.

    check: of the spec that the draft says. refusal: why nothing was queued, where no field is wrong.
    """
    fields = [(field, _field(field, draft, problems)) for field in FIELDS]
    shown = {view.path for _, view in fields if view.problem}
    elsewhere = [problem for problem in problems if problem.field not in shown]
    groups = {
        group: [view for field, view in fields if field.group == group and not field.player]
        for group in ("essentials", "recording")
    }
    return RunFormPage(
        title=source.title,
        frame=frame,
        source=source,
        essentials=groups["essentials"],
        players=[
            _player(player, [view for _, view in fields if view.player == player], check) for player in PLAYERS
        ],
        recording=groups["recording"],
        yaml=draft.yaml,
        yaml_problem=" ".join(f"{problem}." for problem in elsewhere),
        key=draft.key,
        problems=[_problem(problem, shown) for problem in problems],
        changes=changes,
        summary=refusal or ("Nothing was queued yet: " + _count(len(problems)) if problems else ""),
        action=action,
        estimate=check.estimate.text if check.estimate else "",
        made_from=source.made_from,
        check_json=check.model_dump_json(exclude={"text"}),
        layers_json=_write_layers(),
    )


def _player(player: str, fields: list[FieldView], check: SpecReviewRead) -> PlayerView:
    network = next((network for network in check.networks if network.player == player), None)
    if network is None:
        return PlayerView(player, fields, "", "", "", [])
    return PlayerView(
        player,
        fields,
        network.preset,
        _show_shape(network.given),
        show_count(network.parameters),
        [
            LayerView(
                show_item(trim_layer(layer.layer)),
                _show_shape(layer.shape),
                show_count(layer.parameters) if layer.parameters else "",
                layer.problem,
            )
            for layer in network.layers
        ],
    )


def _show_shape(shape: Sequence[int] | None) -> str:
    return show_shape(tuple(shape)) if shape else ""


@cache
def _write_layers() -> str:
    """Return the kinds of layers and what a new one begins with, for the script that edits networks as blocks."""
    kinds = {kind.name: asdict(kind) for kind in describe_layers()}
    new = {name: read_layer(layer).model_dump(mode="json") for name, layer in NEW_LAYERS.items()}
    return json.dumps({"kinds": kinds, "new": new})


def _field(field: FieldSpec, draft: Draft, problems: Sequence[Problem]) -> FieldView:
    own = [problem.message for problem in problems if problem.field == field.path]
    if own and field.path == "losses.generator":
        own += _name_partner(draft)
    value = draft.fields.get(field.path, "")
    # A value that this form does not know is one more choice.
    known = field.choices if not field.choices or value in field.choices else (value, *field.choices)
    return FieldView(
        id=f"field-{field.path.replace('.', '-')}",
        path=field.path,
        label=field.label,
        kind=field.kind,
        help=field.help,
        choices=known,
        partners=_PARTNERS_OF.get(field.path, {}),
        player=field.player,
        value=value,
        was=draft.was.get(field.path, ""),
        problem=_begin("; ".join(own)),
    )


def _begin(sentence: str) -> str:
    """Begin with a capital, unless the first word is a value of a spec."""
    return sentence if "_" in sentence.partition(" ")[0] else sentence[:1].upper() + sentence[1:]


def _name_partner(draft: Draft) -> list[str]:
    """Return the discriminator's loss that the generator's goes with, where another one is chosen."""
    chosen, beside = draft.fields.get("losses.generator", ""), draft.fields.get("losses.discriminator", "")
    partners = [name for name, generators in PARTNERS.items() if chosen in generators and name != beside]
    return [f"or choose {partners[0].replace('_', ' ')} for the discriminator too"] if partners else []


def _problem(problem: Problem, shown: set[str]) -> ProblemView:
    anchor = f"field-{problem.field.replace('.', '-')}" if problem.field in shown else f"field-{YAML_FIELD}"
    given = f" (given: {problem.given})" if problem.given else ""
    return ProblemView(problem.field or "The spec", f"{problem.message}{given}", f"#{anchor}")


def _count(count: int) -> str:
    return "one field is wrong." if count == 1 else f"{count} fields are wrong."


def show_field(spec: Mapping[str, Any], path: str) -> str:
    """Return a field's value as the form shows it; empty where the spec leaves it out or has a section there."""
    value = _find(spec, path)
    return "" if isinstance(value, Mapping | list) else _show(value)


def _find(spec: Mapping[str, Any], path: str) -> Any:
    value: Any = spec
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _show(value: Any) -> str:
    return "" if value is None else str(value)
