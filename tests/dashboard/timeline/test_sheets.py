"""Strips, corners and cells: many grids in one image, at an address that never shows anything else."""

import base64
import io
import struct
import zlib
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from api.artifacts.png import MAX_PNG_PIXELS
from dashboard.timeline.sheet_layout import STRIP_FRAMES, digest_of
from dashboard.timeline.sheets import UnreadableImage, decode_png
from tests.support import fake_worker
from tests.support.fake_worker import CELL, ROWS, FakeWorker, make_grid_png


def make_run(worker: FakeWorker, grids: int, every: int = 10) -> str:
    job = worker.submit()
    worker.claim()
    for iteration in range(every, grids * every + 1, every):
        worker.save_grid(iteration)
    return job


def read_timeline(client: TestClient, job: str) -> dict[str, Any]:
    response = client.get(f"/runs/{job}/timeline.json")
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    files = base64.b64decode(body["files"], validate=True)
    return body | {"sha256": [files[at : at + 32].hex() for at in range(0, len(files), 32)]}


def name_of(timeline: dict[str, Any], places: list[int]) -> str:
    iterations = [timeline["iterations"][place] for place in places]
    digest = digest_of([timeline["sha256"][place] for place in places])
    return f"{iterations[0]}-{iterations[-1]}-{len(places)}-{digest}"


def open_image(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_timeline_is_sent_whole_and_small(client: TestClient, worker: FakeWorker) -> None:
    job = make_run(worker, 40)
    samples = client.get(f"/jobs/{job}/samples").json()["items"]
    timeline = read_timeline(client, job)
    assert timeline["iterations"] == [sample["iteration"] for sample in samples]
    assert timeline["sha256"] == [sample["sha256"] for sample in samples]
    assert timeline["layouts"] == [
        {"count": 40, "rows": ROWS, "columns": ROWS, "cell_width": CELL, "cell_height": CELL}
        | {"latents_sha256": samples[0]["latents_sha256"]}
    ]
    assert timeline["last_event_id"] == client.get(f"/jobs/{job}").json()["last_event_id"]
    response = client.get(f"/runs/{job}/timeline.json", headers={"accept-encoding": "gzip"})
    assert int(response.headers["content-length"]) < 52 * 40


def test_strip_holds_the_thumbnail_of_every_grid_in_its_place(client: TestClient, worker: FakeWorker) -> None:
    job = make_run(worker, STRIP_FRAMES + 3)
    timeline = read_timeline(client, job)
    places = list(range(STRIP_FRAMES))
    response = client.get(f"/runs/{job}/strips/{name_of(timeline, places)}.jpg")
    assert (response.status_code, response.headers["content-type"]) == (200, "image/jpeg")
    strip = open_image(response.content).convert("L")
    side = 128
    assert strip.size == (4 * side, 4 * side)
    for place in places:
        grid = open_image(make_grid_png(timeline["iterations"][place]))
        for row, column in ((0, 0), (3, 5), (7, 7)):
            wanted = grid.getpixel((column * CELL + 14, row * CELL + 14))
            left, top = place % 4 * side, place // 4 * side
            shown = strip.getpixel((left + column * 16 + 8, top + row * 16 + 8))
            assert shown == pytest.approx(wanted, abs=6), (place, row, column)
    rest = client.get(f"/runs/{job}/strips/{name_of(timeline, [16, 17, 18])}.jpg")
    assert open_image(rest.content).size == (3 * side, side)


def test_cells_show_one_latent_through_the_timeline(client: TestClient, worker: FakeWorker) -> None:
    job = make_run(worker, 30)
    timeline = read_timeline(client, job)
    name = name_of(timeline, list(range(30)))
    # The part of the page that shows it, as a script asks for it.
    part = client.get(f"/runs/{job}/cells/3-5")
    assert part.status_code == 200
    assert f"/runs/{job}/cells/3-5/" in part.text
    response = client.get(f"/runs/{job}/cells/3-5/{name}.png")
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    sheet = open_image(response.content)
    assert (sheet.mode, sheet.size) == ("L", (20 * CELL, 2 * CELL))
    for place, iteration in enumerate(timeline["iterations"]):
        wanted = open_image(make_grid_png(iteration)).getpixel((4 * CELL + 3, 2 * CELL + 3))
        assert sheet.getpixel((place % 20 * CELL + 3, place // 20 * CELL + 3)) == wanted
    for nowhere in ("0-1", "1-0", "9-1", "1-9"):
        assert client.get(f"/runs/{job}/cells/{nowhere}/{name}.png").status_code == 404


def test_corners_show_four_cells_of_grids_that_are_evenly_spread(client: TestClient, worker: FakeWorker) -> None:
    job = make_run(worker, 39)
    timeline = read_timeline(client, job)
    name = name_of(timeline, list(range(0, 39, 2)))
    response = client.get(f"/runs/{job}/corners/{name}.png")
    sheet = open_image(response.content)
    assert sheet.size == (20 * 2 * CELL, 2 * CELL)
    wanted = open_image(make_grid_png(timeline["iterations"][38])).crop((0, 0, 2 * CELL, 2 * CELL))
    assert sheet.crop((38 * CELL, 0, 40 * CELL, 2 * CELL)).tobytes() == wanted.tobytes()


def test_address_of_a_sheet_is_kept_for_good_and_names_nothing_else(
    client: TestClient, worker: FakeWorker
) -> None:
    job = make_run(worker, 4)
    timeline = read_timeline(client, job)
    path = f"/runs/{job}/strips/{name_of(timeline, [0, 1, 2])}.jpg"
    first = client.get(path)
    assert "immutable" in first.headers["cache-control"]
    assert client.get(path).content == first.content
    assert client.get(path, headers={"if-none-match": first.headers["etag"]}).status_code == 304
    digest = path.rpartition("-")[2].removesuffix(".jpg")
    for other in (
        f"10-40-4-{digest}",
        f"20-30-3-{digest}",
        f"10-30-2-{digest}",
        "10-30-3-abc",
        f"10-30-3-{digest}0",
        f"10-30-0-{digest}",
        f"10-{'9' * 30}-3-{digest}",
    ):
        assert client.get(f"/runs/{job}/strips/{other}.jpg").status_code == 404, other
    assert client.get(path.replace(job, "none")).status_code == 404


def test_strip_of_more_grids_than_one_may_hold_is_refused(client: TestClient, worker: FakeWorker) -> None:
    job = make_run(worker, STRIP_FRAMES + 1)
    timeline = read_timeline(client, job)
    name = name_of(timeline, list(range(STRIP_FRAMES + 1)))
    assert client.get(f"/runs/{job}/strips/{name}.jpg").status_code == 404
    assert client.get(f"/runs/{job}/corners/{name}.png").status_code == 200


def test_strip_with_a_damaged_grid_shows_the_others_and_is_not_kept(
    client: TestClient, worker: FakeWorker
) -> None:
    job = make_run(worker, 2)
    whole = make_grid_png(30)
    worker.save_grid(30, whole[: len(whole) // 2])
    timeline = read_timeline(client, job)
    response = client.get(f"/runs/{job}/strips/{name_of(timeline, [0, 1, 2])}.jpg")
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    strip = open_image(response.content).convert("L")
    assert strip.crop((256, 0, 384, 128)).getextrema()[1] < 8
    assert strip.crop((0, 0, 128, 128)).getextrema()[1] > 100


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(
    ("side", "kinds"),
    [(CELL + 1, ("strips/{}.jpg", "cells/8-8/{}.png")), (4096, ("strips/{}.jpg", "corners/{}.png"))],
)
def test_a_grid_that_is_smaller_than_its_event_says_is_a_black_place(
    client: TestClient, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch, side: int, kinds: tuple[str, ...]
) -> None:
    job, png = make_run(worker, 1), make_grid_png(20)
    monkeypatch.setattr(fake_worker, "CELL", side)
    worker.save_grid(20, png)
    timeline = read_timeline(client, job)
    for kind in kinds:
        places = [0, 1] if not kind.startswith("cells") else [1]
        response = client.get(f"/runs/{job}/{kind.format(name_of(timeline, places))}")
        assert (response.status_code, response.headers["cache-control"]) == (200, "no-store"), kind
        # Of the other grid there is something to see.
        assert (open_image(response.content).getextrema() != (0, 0)) is (len(places) == 2)


def test_a_second_header_cannot_make_an_image_larger_than_the_first_one_says() -> None:
    def header(side: int) -> bytes:
        return chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))

    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 9 * 8)) + chunk(b"IEND", b"")
    start = b"\x89PNG\r\n\x1a\n"
    assert decode_png(start + header(8) + pixels).size == (8, 8)
    for side in (5_000, 60_000):
        assert side * side > MAX_PNG_PIXELS
        with pytest.raises(UnreadableImage):
            decode_png(start + header(8) + header(side) + pixels)


@pytest.mark.parametrize("kind", ["GIF", "JPEG", "TIFF", "BMP"])
def test_nothing_but_png_is_decoded(kind: str) -> None:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, kind)
    with pytest.raises(UnreadableImage):
        decode_png(file.getvalue())
