"""YAML text as nodes: PyYAML's parser gives one event after the other; each is counted before the next is read.

PyYAML's own composer would build all of it first: 3,000 brackets cost it minutes, ten lines of aliases a gigabyte.
"""

from dataclasses import dataclass, field
from typing import Any

import yaml

from ganlib.spec.documents.nodes import (
    MAX_DEPTH,
    MAX_NODES,
    TOO_DEEP,
    TOO_MANY,
    Mapping,
    Node,
    Scalar,
    Sequence,
    Unreadable,
    at,
    count_child,
)
from ganlib.spec.documents.scalars import COLLECTION_TAGS, refuse_tag
from ganlib.spec.documents.text import clean_text

# The parser in C is some twenty times as fast as the one in Python.
PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "<<"
_MAX_SHOWN = 60


def compose(text: str) -> Node | None:
    """Return the node of the only document, None for an empty text; raises Unreadable."""
    text = clean_text(text)
    composer = _Composer()
    try:
        for event in yaml.parse(text, Loader=PARSER):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        raise composer.find_open(error, text) or _explain(error, text) from None
    except yaml.YAMLError as error:
        raise Unreadable(f"this is not YAML: {' '.join(str(error).split())[:200]}") from None
    return composer.root


@dataclass
class _Frame:
    """A collection that is being read. key: the field whose value comes next. anchor: its own name, or None."""

    node: Sequence | Mapping
    anchor: str | None
    key: Scalar | None = None
    is_merge: bool = False
    names: set[str] = field(default_factory=set)


class _Composer:
    """Takes the events of one document in their order."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self._frames: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._count = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        """Take one event; raises Unreadable."""
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise Unreadable(f"{at(line, column)}: a second document begins here (---); a spec is one")
            case yaml.AliasEvent():
                self._add(self._find(str(event.anchor), line, column), line, column)
            case yaml.ScalarEvent():
                node = Scalar(line, column, event.value, not event.style, event.tag)
                _end(node, event)
                self._name(event.anchor, node)
                self._add(node, line, column)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._open(event, line, column)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                frame = self._frames.pop()
                _end(frame.node, event)
                self._name(frame.anchor, frame.node)
                self._add(frame.node, frame.node.line, frame.node.column)

    def find_open(self, error: yaml.MarkedYAMLError, text: str) -> Unreadable | None:
        """Return the error that a list or mapping is not closed, where the text ended before it was; else None."""
        mark, lines = error.problem_mark, text.rstrip().split("\n")
        if mark is None or (mark.line, mark.column) < (len(lines) - 1, len(lines[-1])):
            return None
        if not self._frames or not self._frames[-1].node.is_flow:
            return None
        node = self._frames[-1].node
        said = _UNFINISHED["flow mapping" if isinstance(node, Mapping) else "flow sequence"]
        return Unreadable(f"{at(node.line, node.column)}: this is not YAML: {said}")

    def _open(self, event: Any, line: int, column: int) -> None:
        if event.tag is not None and event.tag not in COLLECTION_TAGS:
            raise refuse_tag(event.tag, line, column)
        self._count_up(1, line, column)
        if len(self._frames) >= MAX_DEPTH:
            raise Unreadable(f"{at(line, column)}: {TOO_DEEP}")
        if self._frames and self._awaits_key():
            raise Unreadable(f"{at(line, column)}: a field's name must be text, not a list or a mapping")
        kind = Mapping if isinstance(event, yaml.MappingStartEvent) else Sequence
        self._frames.append(_Frame(kind(line, column, bool(event.flow_style)), event.anchor))

    def _add(self, node: Node, line: int, column: int) -> None:
        """Add a complete node to the collection that is open, at this place of the text."""
        # The nodes of a collection were counted as they came, those of an alias were not.
        is_alias = (node.line, node.column) != (line, column)
        self._count_up(node.size if is_alias else isinstance(node, Scalar), line, column)
        if not self._frames:
            self.root = node
            return
        frame = self._frames[-1]
        if len(self._frames) + node.depth > MAX_DEPTH:
            raise Unreadable(f"{at(line, column)}: {TOO_DEEP}")
        if self._awaits_key():
            _begin_field(frame, node, line, column)
            return
        count_child(frame.node, node)
        if isinstance(frame.node, Sequence):
            frame.node.items.append(node)
        elif frame.key is not None:
            if frame.is_merge:
                frame.node.merged += _read_merged(node, line, column)
            else:
                frame.node.fields[frame.key.text] = node
                frame.node.keys[frame.key.text] = frame.key
            frame.key = None

    def _awaits_key(self) -> bool:
        return isinstance(self._frames[-1].node, Mapping) and self._frames[-1].key is None

    def _count_up(self, count: int, line: int, column: int) -> None:
        self._count += count
        if self._count > MAX_NODES:
            raise Unreadable(f"{at(line, column)}: {TOO_MANY}")

    def _name(self, anchor: str | None, node: Node) -> None:
        if anchor is not None:
            self._anchors[anchor] = node

    def _find(self, anchor: str, line: int, column: int) -> Node:
        shown = anchor[:_MAX_SHOWN]
        if any(frame.anchor == anchor for frame in self._frames):
            raise Unreadable(
                f"{at(line, column)}: the alias *{shown} stands within what it names; write the value"
            )
        if anchor not in self._anchors:
            raise Unreadable(f"{at(line, column)}: nothing above is named &{shown}; write the value, or name it")
        return self._anchors[anchor]


def _end(node: Node, event: Any) -> None:
    node.end_line, node.end_column = event.end_mark.line + 1, event.end_mark.column + 1


def _begin_field(frame: _Frame, node: Node, line: int, column: int) -> None:
    if not isinstance(node, Scalar):
        raise Unreadable(f"{at(line, column)}: a field's name must be text, not a list or a mapping")
    if node.is_plain and not node.text:
        raise Unreadable(f"{at(line, column)}: a field's name is missing before the colon")
    if node.text in frame.names:
        raise Unreadable(f"{at(line, column)}: {node.text[:_MAX_SHOWN]!r} is given twice; keep one of the two")
    frame.names.add(node.text)
    frame.node.size += 1
    frame.key, frame.is_merge = node, node.is_plain and node.text == _MERGE


def _read_merged(node: Node, line: int, column: int) -> list[Mapping]:
    """Return the mappings that `<<` names: one, or a list of them."""
    given = node.items if isinstance(node, Sequence) else [node]
    merged = [part for part in given if isinstance(part, Mapping)]
    if len(merged) < len(given):
        raise Unreadable(
            f"{at(line, column)}: << takes the fields of a mapping, such as <<: *name, or of a list of them"
        )
    return merged


# What is missing, by what PyYAML's parser was about when it gave up.
_UNFINISHED = {
    "flow sequence": "the list that begins here is not closed: a comma or a ] is missing",
    "flow mapping": "the mapping that begins here is not closed: a comma or a } is missing",
    "quoted scalar": "the text that begins here is not closed: a quotation mark is missing",
    "simple key": "a colon and a value are missing after this",
}


def _explain(error: yaml.MarkedYAMLError, text: str) -> Unreadable:
    """Return the parser's error in our words, with its place."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Unreadable(f"this is not YAML: {error.problem or error.context}"[:300])
    lines = text.split("\n", mark.line + 1)
    line = lines[mark.line] if mark.line < len(lines) else ""
    if line[mark.column : mark.column + 1] == "\t" or "\t" in line[: len(line) - len(line.lstrip())]:
        return Unreadable(f"{_place_of(mark)}: a tab stands here; YAML takes spaces in its place")
    problem, context = error.problem or "", error.context or ""
    if "mapping values are not allowed" in problem:
        advice = "no field can begin here; put a text with a colon in quotes"
        return Unreadable(f"{_place_of(mark)}: this is not YAML: {advice}")
    unfinished = next((said for about, said in _UNFINISHED.items() if about in context), None)
    if unfinished is not None and error.context_mark is not None and "escape" not in problem:
        return Unreadable(f"{_place_of(error.context_mark)}: this is not YAML: {unfinished}")
    said = " ".join(f"{context}, {problem}".strip(", ").split())
    return Unreadable(f"{_place_of(mark)}: this is not YAML: {said}"[:300])


def _place_of(mark: Any) -> str:
    return at(mark.line + 1, mark.column + 1)
