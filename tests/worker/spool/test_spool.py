"""The spool: what the trainer appends is what the reporter reads, line by line."""

import json
from pathlib import Path

import pytest

from api.events.schemas import EventsPost
from ganlib.events import (
    CheckpointSaved,
    Event,
    Histogram,
    HistogramsLogged,
    MetricsLogged,
    NeighbourGridSaved,
    SampleGridSaved,
    StoredFile,
)
from worker.spool import spool
from worker.spool.spool import SpoolDamaged, SpoolReader, SpoolWriter

FILE = StoredFile(path="samples/1.png", sha256="a" * 64, size=3)


def metrics(iteration: int) -> Event:
    return MetricsLogged(iteration=iteration, values={"loss/generator": 0.5, "loss/discriminator": float("inf")})


def grid(iteration: int) -> Event:
    cells = {"rows": 1, "columns": 1, "cell_width": 8, "cell_height": 8}
    return SampleGridSaved(iteration=iteration, file=FILE, latents_sha256="b" * 64, **cells)


def write(path: Path, *events: Event) -> None:
    writer = SpoolWriter(path)
    for event in events:
        writer.append(event)
    writer.close()


def test_a_batch_is_a_valid_post_with_rising_numbers(tmp_path: Path) -> None:
    write(tmp_path / "spool", metrics(1), grid(1), metrics(2))
    batch = SpoolReader(tmp_path / "spool").find_batch()
    assert batch is not None
    post = EventsPost.model_validate_json(batch.body)
    assert [event.seq for event in post.events] == [0, 1, 2]
    assert [event.event for event in post.events][1:] == [grid(1), metrics(2)]
    assert batch.files == [(FILE, "image/png")]


def test_a_neighbour_grid_is_a_picture_that_is_posted_at_once(tmp_path: Path) -> None:
    fields = grid(1).model_dump(exclude={"kind"})
    write(tmp_path / "spool", NeighbourGridSaved.model_validate(fields))
    batch = SpoolReader(tmp_path / "spool").find_batch()
    assert batch is not None
    assert (batch.files, batch.is_urgent) == ([(FILE, "image/png")], True)


def test_bins_count_as_points_and_nobody_waits_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bins = Histogram(low=0, high=1, counts=(1,) * 64)
    event = HistogramsLogged(iteration=1, histograms={"logits/real": bins, "logits/fake": bins})
    write(tmp_path / "spool", event, event, metrics(2))
    monkeypatch.setattr(spool, "MAX_POINTS", 257)
    batch = SpoolReader(tmp_path / "spool").find_batch()
    assert batch is not None
    assert [each.point_count for each in batch.events] == [128, 128]
    monkeypatch.setattr(spool, "MAX_POINTS", 258)
    batch = SpoolReader(tmp_path / "spool").find_batch()
    assert batch is not None
    assert (len(batch.events), batch.is_urgent) == (3, False)


def test_a_batch_that_was_not_taken_comes_again_with_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "spool", metrics(1), metrics(2))
    first = SpoolReader(tmp_path / "spool").find_batch()
    again = SpoolReader(tmp_path / "spool").find_batch()
    assert first is not None
    assert again is not None
    assert first.body == again.body


def test_a_line_that_is_not_complete_is_not_read_yet(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    write(path, metrics(1), metrics(2))
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    reader = SpoolReader(path)
    first = reader.find_batch()
    assert first is not None
    reader.move_to(first.next_seq)
    assert first.next_seq == 1
    assert reader.find_batch() is None
    path.write_bytes(whole)
    second = reader.find_batch()
    assert second is not None
    assert [event.seq for event in second.events] == [1]


def test_a_spool_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    assert SpoolReader(tmp_path / "spool").find_batch() is None


def test_a_reader_goes_back_and_forth_by_number(tmp_path: Path) -> None:
    write(tmp_path / "spool", *(metrics(iteration) for iteration in range(10)))
    reader = SpoolReader(tmp_path / "spool")
    for next_seq in (7, 2, 9):
        reader.move_to(next_seq)
        batch = reader.find_batch()
        assert batch is not None
        assert [event.seq for event in batch.events] == list(range(next_seq, 10))


def test_a_checkpoint_begins_a_batch_of_its_own(tmp_path: Path) -> None:
    checkpoint = CheckpointSaved(iteration=2, file=FILE)
    write(tmp_path / "spool", metrics(1), metrics(2), checkpoint, metrics(3))
    reader = SpoolReader(tmp_path / "spool")
    seen = []
    while (batch := reader.find_batch()) is not None:
        seen.append([event.seq for event in batch.events])
        reader.move_to(batch.next_seq)
    assert seen == [[0, 1], [2, 3]]


@pytest.mark.parametrize(("limit", "value"), [("MAX_EVENTS", 3), ("MAX_POINTS", 6), ("MAX_BYTES", 600)])
def test_batches_stay_within_every_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    write(tmp_path / "spool", *(metrics(iteration) for iteration in range(10)))
    monkeypatch.setattr(spool, limit, value)
    reader = SpoolReader(tmp_path / "spool")
    sizes = []
    while (batch := reader.find_batch()) is not None:
        sizes.append(len(batch.events))
        reader.move_to(batch.next_seq)
    assert sum(sizes) == 10
    assert max(sizes) == 3


def test_more_events_than_one_read_are_all_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "spool", *(metrics(iteration) for iteration in range(200)))
    monkeypatch.setattr(spool, "_READ_BYTES", 1000)
    reader = SpoolReader(tmp_path / "spool", next_seq=150)
    batch = reader.find_batch()
    assert batch is not None
    assert [event.seq for event in batch.events] == list(range(150, 200))


def test_a_complete_line_that_is_no_event_is_damage(tmp_path: Path) -> None:
    (tmp_path / "spool").write_bytes(b'{"seq":0,"at":"now","ev\n')
    with pytest.raises(SpoolDamaged):
        SpoolReader(tmp_path / "spool").find_batch()


def test_a_path_outside_the_run_is_damage(tmp_path: Path) -> None:
    row = {"seq": 0, "at": "2026-01-01T00:00:00Z", "event": {"kind": "checkpoint_saved", "iteration": 1}}
    row["event"]["file"] = {"path": "../../secret", "sha256": "a" * 64, "size": 1}  # type: ignore[index]
    (tmp_path / "spool").write_text(json.dumps(row) + "\n")
    with pytest.raises(SpoolDamaged):
        SpoolReader(tmp_path / "spool").find_batch()
