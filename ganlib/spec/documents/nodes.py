"""Nodes of a YAML document: what stands where, before anything is built of it; and a document's limits."""

from dataclasses import dataclass, field

# The largest valid spec, three networks of 256 layers with every field written out, has some 15,000 nodes.
MAX_NODES = 20_000
# A valid spec has six levels.
MAX_DEPTH = 32
MAX_DIGITS = 400

TOO_DEEP = f"this is nested too deeply; at most {MAX_DEPTH} levels are read"
TOO_MANY = (
    f"this is too much for a spec; at most {MAX_NODES:,} fields and values are read, an alias counts in full"
)


class Unreadable(Exception):
    """The text cannot be read as YAML or JSON; the message says where and what to do."""


@dataclass
class Node:
    """Any node. line, column: where it begins; the first is 1. size: nodes in it. depth: levels below it.

    end_line, end_column: where it has ended; without brackets, where the next thing begins.
    """

    line: int
    column: int
    end_line: int = field(default=0, init=False)
    end_column: int = field(default=0, init=False)
    size: int = field(default=1, init=False)
    depth: int = field(default=0, init=False)


@dataclass
class Scalar(Node):
    """A text as written. is_plain: without quotes, so that it may be a number. tag: its own, or None."""

    text: str
    is_plain: bool
    tag: str | None = None


@dataclass
class Sequence(Node):
    """A list. is_flow: whether it stands in brackets."""

    is_flow: bool = False
    items: list[Node] = field(default_factory=list)


@dataclass
class Mapping(Node):
    """Fields and their values. merged: mappings whose fields it has too (YAML's `<<`), the first one first.

    is_flow: whether it stands in braces. keys: the nodes of the fields' names.
    """

    is_flow: bool = False
    keys: dict[str, Scalar] = field(default_factory=dict)
    fields: dict[str, Node] = field(default_factory=dict)
    merged: list["Mapping"] = field(default_factory=list)


def count_child(parent: Node, child: Node) -> None:
    """Count a node in the one that holds it; an alias's node is counted wherever it stands."""
    parent.size += child.size
    parent.depth = max(parent.depth, child.depth + 1)


def at(line: int, column: int) -> str:
    """Return a place of the text, in words."""
    return f"line {line}, column {column}"
