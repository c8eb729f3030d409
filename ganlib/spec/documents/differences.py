"""Values of a spec in words, the fields in which several specs differ, and changes of one as `old → new`."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

NOTHING = "–"


def show_value(value: Any) -> str:
    """Return a spec's value in words: lists by their items, mappings by their kind, booleans as on and off."""
    match value:
        case None:
            return NOTHING
        case bool():
            return "on" if value else "off"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:g}"
        case list():
            return ", ".join(map(show_item, value)) or "none"
        case Mapping():
            return show_item(value)
        case _:
            return str(value)


def show_item(item: Any) -> str:
    """Return an item of a list in words: `r1 (weight 10)`."""
    if not isinstance(item, Mapping):
        return show_value(item)
    head = next((key for key in ("layer", "technique", "name", "preset", "kind") if item.get(key)), None)
    rest = [f"{key} {show_value(part)}" for key, part in item.items() if key != head and part is not None]
    if head is None:
        return ", ".join(rest)
    return f"{item[head]} ({', '.join(rest)})" if rest else str(item[head])


def read_field(spec: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path such as `generator.layers[3].size`, None where there is none."""
    value: Any = spec
    for part in path.replace("[", ".").replace("]", "").split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def find_differences(path: str, values: list[Any]) -> list[tuple[str, list[Any]]]:
    """Return the deepest fields below this one whose values differ."""
    if all(value == values[0] and type(value) is type(values[0]) for value in values):
        return []
    if all(isinstance(value, Mapping) for value in values) and _are_one_kind(values):
        names = dict.fromkeys(name for value in values for name in value)
        below = [(f"{path}.{name}" if path else name, [value.get(name) for value in values]) for name in names]
    elif all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
        below = [(f"{path}[{index}]", list(parts)) for index, parts in enumerate(zip(*values, strict=True))]
    else:
        return [(path, values)]
    return [field for name, parts in below for field in find_differences(name, parts)]


def _are_one_kind(values: Sequence[Mapping[str, Any]]) -> bool:
    """Whether mappings describe the same thing: layers of different kinds are better shown whole."""
    return all(len({repr(value.get(key)) for value in values}) == 1 for key in ("layer", "technique", "kind"))


def say_changes(spec: Mapping[str, Any], changes: Mapping[str, Any]) -> list[str]:
    """Return what changes of a spec change, such as `generator.layers[1], [3]: relu → sigmoid`.

    changes: fields by their paths and their new values; a list is given whole, but only what differs is told.
    """
    told: dict[tuple[str, str], list[str]] = {}
    for path, value in changes.items():
        for field, (old, new) in find_differences(path, [read_field(spec, path), value]):
            told.setdefault((field.partition("[")[0], _say_change(old, new)), []).append(field)
    return [f"{_join_places(fields)}: {words}" for (_, words), fields in told.items()]


def _join_places(fields: Sequence[str]) -> str:
    first, *others = fields
    places = [f"[{field.partition('[')[2]}" for field in others]
    return ", ".join([first, *places])


def _say_change(old: Any, new: Any) -> str:
    if isinstance(old, list) and isinstance(new, list):
        before, after = Counter(map(show_item, old)), Counter(map(show_item, new))
        parts = [f"without {_times(item, count)}" for item, count in (before - after).items()]
        parts += [f"with {_times(item, count)}" for item, count in (after - before).items()]
        return ", ".join(parts) or "in another order"
    if _is_layer(old) and _is_layer(new) and old["layer"] == new["layer"]:
        differing = {key for key in {*old, *new} if old.get(key) != new.get(key)} | {"kind"}
        old, new = ({key: part for key, part in each.items() if key in differing} for each in (old, new))
    return f"{show_value(old)} → {show_value(new)}"


def _is_layer(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value.get("layer")) and bool(value.get("kind"))


def _times(item: str, count: int) -> str:
    return item if count == 1 else f"{item} ({count} times)"


# What names a run for people is no change of it.
_NAMING = ("name", "description", "tags", "recipe")
_MOST_NAMED, _LONGEST_NAME = 3, 100
# What a name may hold beside letters, digits and spaces stands in `ganlib.spec.fields`.
_NOT_IN_NAMES = re.compile(r"[^\w .=+,()-]+")


def propose_name(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return a name for a changed spec that says what was changed: `first-light, learning rate 0.0004`.

    The name of the spec before, without what it says already of fields that were changed once more.
    """
    told: dict[str, str] = {}
    for path, (_, new) in find_differences("", [before, after]):
        if path.partition(".")[0] not in _NAMING:
            told[_name_field(path)] = "" if isinstance(new, list | Mapping) else show_value(new)
    # What both players have alike is said once.
    for words, value in list(told.items()):
        both = [f"{player} {words.partition(' ')[2]}" for player in ("generator", "discriminator")]
        if words in both and all(told.get(each) == value != "" for each in both):
            told = {key: text for key, text in told.items() if key not in both} | {words.partition(" ")[2]: value}
    base = [
        part
        for part in str(before.get("name", "")).split(", ")
        if not any(part.startswith(f"{words} ") for words in told)
    ]
    parts = [f"{words} {value}" if value else f"other {words}" for words, value in told.items()]
    if len(parts) > _MOST_NAMED:
        parts = [*parts[: _MOST_NAMED - 1], f"{len(parts) - _MOST_NAMED + 1} more"]
    changes = ", ".join(_NOT_IN_NAMES.sub("", part.replace("–", "none")) for part in parts)
    room = _LONGEST_NAME - len(changes) - 2
    kept = ", ".join(base)[: max(room, 0)].rstrip(" ,")
    return ", ".join(part for part in (kept, changes) if part)[:_LONGEST_NAME].rstrip(" ,")


def _name_field(path: str) -> str:
    """Return the words for a field: the player, where there is one, and the last part."""
    parts = re.sub(r"\[(\d+)\]", r".\1", path).split(".")
    player = next((part for part in parts[:-1] if part in ("generator", "discriminator")), "")
    last = parts[-1] if player or len(parts) < 2 or not parts[-1].isdigit() else " ".join(parts[-2:])
    layer = f"layer {parts[2]} " if parts[1:2] == ["layers"] and len(parts) > 3 else ""
    if parts[0] == "losses":
        return f"{last} loss"
    return f"{player} {layer}{last}".replace("_", " ").strip()
