"""The `.wandb` file of a W&B run: the framing of its records, and their fields that an import reads.

The framing is LevelDB's log (blocks of 32 KiB; a record that crosses their ends is cut into parts) with CRC-32 as
checksum and a head of its own. Records are protobuf messages of wandb_internal.proto; the few fields that are read
are described here, so that the wandb package (some 60 MB, with a program of its own) need not be installed.
"""

import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from ganvas.exchange.records import Losses

_MAGIC = b":W&B"
_FILE_HEAD, _PART_HEAD, _BLOCK = 7, 7, 32_768
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_MAX_RECORD = 2**30

# Message → field → (number, type); a list of one type is a repeated field. Of wandb_internal.proto, wandb 0.31.
_MESSAGES: dict[str, dict[str, Any]] = {
    "Record": {
        "history": (2, "HistoryRecord"), "summary": (3, "SummaryRecord"), "config": (5, "ConfigRecord"),
        "stats": (7, "StatsRecord"), "alert": (10, "AlertRecord"), "output_raw": (13, "OutputRawRecord"),
        "run": (17, "RunRecord"), "exit": (18, "RunExitRecord"), "environment": (26, "EnvironmentRecord"),
    },
    "Timestamp": {"seconds": (1, "int64"), "nanos": (2, "int32")},
    "RunRecord": {
        "run_id": (1, "string"), "entity": (2, "string"), "project": (3, "string"), "config": (4, "ConfigRecord"),
        "summary": (5, "SummaryRecord"), "run_group": (6, "string"), "job_type": (7, "string"),
        "display_name": (8, "string"), "notes": (9, "string"), "tags": (10, ["string"]), "host": (13, "string"),
        "starting_step": (14, "int64"), "start_time": (17, "Timestamp"), "git": (21, "GitRepoRecord"),
    },
    "GitRepoRecord": {"remote_url": (1, "string"), "commit": (2, "string")},
    "ConfigRecord": {"update": (1, ["Item"]), "remove": (2, ["Item"])},
    "SummaryRecord": {"update": (1, ["Item"]), "remove": (2, ["Item"])},
    "Item": {"key": (1, "string"), "nested_key": (2, ["string"]), "value_json": (16, "string")},
    "HistoryRecord": {"item": (1, ["HistoryItem"]), "step": (2, "HistoryStep")},
    "HistoryStep": {"num": (1, "int64")},
    "HistoryItem": {
        "key": (1, "string"), "nested_key": (2, ["string"]), "boolean": (4, "bool"), "integer": (5, "sint64"),
        "number": (6, "double"), "text": (7, "string"), "json": (8, "string"), "value_json": (16, "string"),
    },
    "StatsRecord": {"timestamp": (2, "Timestamp"), "item": (3, ["StatsItem"])},
    "StatsItem": {"key": (1, "string"), "value_json": (16, "string")},
    "AlertRecord": {"title": (1, "string"), "text": (2, "string"), "level": (3, "string")},
    "OutputRawRecord": {"output_type": (1, "int32"), "timestamp": (2, "Timestamp"), "line": (3, "string")},
    "RunExitRecord": {"exit_code": (1, "int32"), "runtime": (2, "int32")},
    "EnvironmentRecord": {
        "os": (1, "string"), "python": (2, "string"), "args": (5, ["string"]), "program": (6, "string"),
        "git": (9, "GitRepoRecord"), "host": (12, "string"), "gpu_type": (18, "string"),
    },
}  # fmt: skip


@cache
def record_class() -> Any:
    """Return the class of the records' message; messages that an import does not read stay unknown fields."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "string": field.TYPE_STRING, "int64": field.TYPE_INT64, "int32": field.TYPE_INT32, "bool": field.TYPE_BOOL,
        "sint64": field.TYPE_SINT64, "double": field.TYPE_DOUBLE,
    }  # fmt: skip
    file = descriptor_pb2.FileDescriptorProto(name="ganvas_wandb.proto", package="ganvas.wandb", syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            kind, label = (
                (kind[0], field.LABEL_REPEATED) if isinstance(kind, list) else (kind, field.LABEL_OPTIONAL)
            )
            added = message.field.add(name=field_name, number=number, label=label)
            if kind in scalars:
                added.type = scalars[kind]
            else:
                added.type, added.type_name = field.TYPE_MESSAGE, f".ganvas.wandb.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("ganvas.wandb.Record"))


def read_messages(path: Path, losses: Losses) -> Iterator[Any]:
    """Yield the records of a file; what is damaged or cut off is counted and left out."""
    parse = record_class().FromString
    with path.open("rb") as file:
        if not file.read(_FILE_HEAD).startswith(_MAGIC):
            losses.add("files without the head of a .wandb file", path.name)
            return
        for content in _join_parts(_read_parts(file, path.name, losses), path.name, losses):
            try:
                message = parse(content)
            except Exception as error:  # protobuf's DecodeError, whose module differs between its versions.
                losses.add("records that cannot be parsed", f"{path.name}: {error}")
                continue
            yield message


def _read_parts(file: BinaryIO, where: str, losses: Losses) -> Iterator[tuple[int, bytes]]:
    """Yield (kind, bytes) of each part; kind 0 stands for a place where something is missing."""
    while True:
        offset = file.tell()
        room = _BLOCK - offset % _BLOCK
        if room < _PART_HEAD:
            # Zeros, up to the end of the block.
            file.seek(room, 1)
            continue
        head = file.read(_PART_HEAD)
        if not head:
            return
        length, kind = int.from_bytes(head[4:6], "little"), head[6] if len(head) == _PART_HEAD else 0
        content = file.read(length) if kind else b""
        if len(head) < _PART_HEAD or len(content) < length:
            losses.add("records that are cut off at the end of a file", f"{where} at byte {offset:,}")
            return
        if not _FULL <= kind <= _LAST or zlib.crc32(content, zlib.crc32(head[6:])) != int.from_bytes(
            head[:4], "little"
        ):
            losses.add("damaged blocks of 32 KiB, read from the next one on", f"{where} at byte {offset:,}")
            yield 0, b""
            file.seek(offset + room)
            continue
        yield kind, content


def _join_parts(parts: Iterator[tuple[int, bytes]], where: str, losses: Losses) -> Iterator[bytes]:
    begun: list[bytes] | None = None
    for kind, content in parts:
        if kind == _FULL:
            begun = None
            yield content
        elif kind == _FIRST:
            begun = [content]
        elif begun is not None and kind in (_MIDDLE, _LAST) and sum(map(len, begun)) < _MAX_RECORD:
            begun.append(content)
            if kind == _LAST:
                yield b"".join(begun)
                begun = None
        else:
            begun = None
    if begun is not None:
        losses.add("records that are cut off at the end of a file", where)
