"""Finds training and test images of a set by its folders: train and test, whatever they are called; and classes.

A class is a folder that holds images, named from where the folders part ways.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Literal

from ganlib.datasets.labelled import Split
from ganlib.datasets.sources import show_name
from ganlib.errors import DatasetUnavailable

Role = Literal["train", "val", "test"]
Folder = tuple[str, ...]

_ROLES: dict[str, Role] = {
    "train": "train", "training": "train", "trainset": "train",
    "val": "val", "valid": "val", "validate": "val", "validation": "val", "valset": "val", "dev": "val",
    "eval": "val", "evaluation": "val",
    "test": "test", "testing": "test", "testset": "test",
}  # fmt: skip
# What a class is hardly called: without training images beside it, such a folder leaves open what is meant.
_HELD_OUT = frozenset({"test", "testing", "testset", "val", "validation"})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_ORDER: tuple[Role, ...] = ("train", "val", "test")
_TESTED_ON: tuple[Role, ...] = ("test", "val")
_NAMED = 3


@dataclass(frozen=True)
class Part:
    """The image files of one part, and the class (an index into class_names) of each."""

    names: list[str]
    labels: list[int]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """How a set is divided.

    parts: of these the test part may be missing. notes: sentences that say what was taken for what. strays: image
    files beside the parts' folders, which belong to none.
    """

    parts: dict[Split, Part]
    notes: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()


def divide(names: list[str], title: str) -> Layout:
    """Return the parts of a set by the folders of its images; all are for training where none is called test.

    names: paths with '/', sorted. Raises DatasetUnavailable where the folders leave open what is meant.
    """
    folders = [tuple(name.split("/")[:-1]) for name in names]
    shared = count_shared(folders)
    _refuse_held_out_alone(folders[0][:shared], title)
    below = [folder[shared:] for folder in folders]
    roles = _find_roles({folder[0] if folder else "" for folder in below}, title)
    if not roles:
        _refuse_parts_below(below, title)
        return Layout({"train": _classify({"train": (names, folders)})["train"]})
    role_of_head = {head: role for role, head in roles.items()}
    by_role: dict[Role, tuple[list[str], list[Folder]]] = {role: ([], []) for role in roles}
    strays = []
    for name, folder in zip(names, below, strict=True):
        if folder:
            role = role_of_head[folder[0]]
            by_role[role][0].append(name)
            by_role[role][1].append(_drop_part(folder))
        else:
            strays.append(name)
    used: dict[Split, Role] = {"train": "train"}
    for role in _TESTED_ON:
        if role in roles and "test" not in used and _has_classes_like(by_role[role][1], by_role["train"][1]):
            used["test"] = role
    parts = _classify({split: by_role[role] for split, role in used.items()})
    counts = {role: len(found) for role, (found, _) in by_role.items()}
    return Layout(parts, (_describe(title, roles, counts, used),), tuple(strays))


def count_shared(folders: list[Folder]) -> int:
    """Return how many folders, from the first on, all paths begin with."""
    levels = takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))
    return len(list(levels))


@lru_cache(maxsize=10_000)
def _read_role(folder: str) -> tuple[Role, Folder] | None:
    """Return what a folder's name says, and its other words: `seg_train` is ("train", ("seg",)); digits aside."""
    words = [word.lower() for word in _WORD.findall(folder)]
    spoken = [word for word in words if word in _ROLES]
    if len(spoken) != 1:
        return None
    return _ROLES[spoken[0]], tuple(word for word in words if word not in _ROLES)


def _group_roles(heads: Iterable[str]) -> list[dict[Role, list[str]]]:
    """Return the folders by role, for each group whose names have the same other words and that has two parts."""
    groups: defaultdict[Folder, defaultdict[Role, list[str]]] = defaultdict(lambda: defaultdict(list))
    for head in sorted(heads):
        read = _read_role(head)
        if read is not None:
            groups[read[1]][read[0]].append(head)
    return [group for group in groups.values() if "train" in group and len(group) > 1]


def _find_roles(heads: set[str], title: str) -> dict[Role, str]:
    """Return the folder of each part; nothing where the folders are classes. Raises DatasetUnavailable."""
    groups = _group_roles(heads)
    folders = heads - {""}
    if not groups and folders != heads and [_read_role(folder) for folder in folders] == [("train", ())]:
        return {"train": folders.pop()}
    if not groups:
        for head in sorted(heads):
            if head.lower() in _HELD_OUT and len(heads) > 1:
                beside = _name(heads - {head, ""}) or "images"
                raise DatasetUnavailable(
                    f"{title} holds {head} beside {beside}, and no folder train: is {head} a class, or images to "
                    f"test on? Move the images to train on to a folder train, or rename {head}."
                )
        return {}
    taken = [head for group in groups for of_role in group.values() for head in of_role]
    if len(taken) > len({role for group in groups for role in group}):
        raise DatasetUnavailable(
            f"{title} holds several folders for the same part ({_name(taken, 6)}); keep one train and one "
            "test, or set dataset.path to one of them."
        )
    others = heads - {"", *taken}
    if others:
        raise DatasetUnavailable(
            f"{title} holds {_name(others)} beside {_name(taken)}: are these images to train on? Move them to "
            "one of the parts or out of the set, or set dataset.path to the folder to train on."
        )
    return {role: groups[0][role][0] for role in _ORDER if role in groups[0]}


def _refuse_held_out_alone(shared: Folder, title: str) -> None:
    for folder in shared:
        # A zip is often named like the one folder in it.
        if folder.lower() in _HELD_OUT and folder.lower() != title.lower().removesuffix(".zip"):
            raise DatasetUnavailable(
                f"All images of {title} lie in a folder {folder}, and none in a folder train: rename it, or set "
                "dataset.path to it, where it is meant to be trained on."
            )


def _refuse_parts_below(below: list[Folder], title: str) -> None:
    """Raise DatasetUnavailable where parts lie in other folders, such as cats/train and cats/test."""
    children: defaultdict[Folder, set[str]] = defaultdict(set)
    for folder in set(below):
        for depth in range(1, len(folder)):
            children[folder[:depth]].add(folder[depth])
    for parent, names in sorted(children.items()):
        for group in _group_roles(names):
            found = _name([f"{'/'.join(parent)}/{folder}" for folders in group.values() for folder in folders])
            raise DatasetUnavailable(
                f"{title} holds {found}: parts are read where they are the outermost folders, with the classes in "
                "them, such as train/cats and test/cats. Move them so, or set dataset.path to one of them."
            )


def _classify(found: dict[Split, tuple[list[str], list[Folder]]]) -> dict[Split, Part]:
    """Return the parts, of image files and the folder of each, with one numbering of classes for all."""
    everything = [folder for _, folders in found.values() for folder in folders]
    # Where all images lie in one folder, it is the class.
    shared = count_shared(everything) if len(set(everything)) > 1 else -1
    classes = {
        split: ["/".join(folder[shared:]) or "." for folder in folders] for split, (_, folders) in found.items()
    }
    class_names = tuple(sorted(set().union(*classes.values())))
    numbers = {name: number for number, name in enumerate(class_names)}
    return {
        split: Part(found[split][0], [numbers[name] for name in of_part], class_names)
        for split, of_part in classes.items()
    }


def _drop_part(folder: Folder) -> Folder:
    """Return the folders below a part's own, which some archives hold twice: train/train/cats."""
    inside = folder[1:]
    while inside and _read_role(inside[0]) == _read_role(folder[0]):
        inside = inside[1:]
    return inside


def _has_classes_like(folders: list[Folder], trained: list[Folder]) -> bool:
    """Return whether images lie in folders of classes, where those to train on do."""
    return len(set(trained)) == 1 or set(folders) != {()}


def _describe(title: str, roles: dict[Role, str], counts: dict[Role, int], used: dict[Split, Role]) -> str:
    purposes = dict.fromkeys(roles, "is not used")
    purposes["train"] = "is trained on"
    if "test" in used:
        purposes[used["test"]] = "is held out for tests"
    elif "test" in roles:
        purposes["test"] = "is not used, because it has no folders of classes"
    told = [f"{show_name(folder)} ({counts[role]:,} images) {purposes[role]}" for role, folder in roles.items()]
    return f"{title} is divided by its folders: {', '.join(told)}."


def _name(names: Iterable[str], most: int = _NAMED) -> str:
    """Return the first names in alphabetical order, joined by "and"."""
    ordered = sorted(name for name in names if name)
    shown = [show_name(name) for name in ordered[:most]]
    more = [f"{len(ordered) - most:,} more"] if len(ordered) > most else []
    *first, last = [*shown, *more] or [""]
    return f"{', '.join(first)} and {last}" if first else last
