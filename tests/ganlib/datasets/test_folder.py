"""Folders and zips of images: classes, order, cropping, what is skipped, and what is never read."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from ganlib.datasets import folder, load_train_and_test, load_training, sources
from ganlib.datasets.folder import to_grey
from ganlib.errors import DatasetUnavailable
from ganlib.spec.sections.datasets import FolderSpec
from tests.ganlib.conftest import MakeSpec, Run
from tests.support.pictures import BLUE, GREEN, RED, picture_bytes, write_files, write_zip

EMOJI = Path(os.environ.get("GANVAS_DATA", "")) / "emoji-192.zip"
SMALL = {
    "b/2.png": picture_bytes(BLUE),
    "a/10.png": picture_bytes(GREEN),
    "a/9.jpg": picture_bytes((200, 200, 200), kind="JPEG"),
    "a/notes.txt": b"not an image",
    "a/.hidden.png": b"",
    "__MACOSX/a/x.png": b"",
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that GANVAS_DATA names; the cache is empty."""
    monkeypatch.setenv("GANVAS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def load(path: str, size: int = 4, **options: Any) -> Any:
    return load_training(FolderSpec(path=path, size=size, **options))


def first_pixels(images: torch.Tensor) -> list[list[int]]:
    return images[:, :, 0, 0].tolist()


@pytest.mark.parametrize("place", ["set", "set.zip", "deeper/set.zip"])
def test_folders_are_classes_and_names_give_the_order(data: Path, place: str) -> None:
    (write_zip if place.endswith(".zip") else write_files)(data / place, SMALL)
    found = load(place)
    assert (found.images.shape, found.images.dtype) == ((3, 3, 4, 4), torch.uint8)
    assert first_pixels(found.images) == [[0, 255, 0], [200, 200, 200], [0, 0, 255]]
    assert (found.labels.tolist(), found.class_names, found.warnings) == ([0, 0, 1], ("a", "b"), ())


@pytest.mark.parametrize(
    ("names", "class_names", "labels"),
    [
        (["wrapped/in/a/1.png", "wrapped/in/b/1.png"], ("a", "b"), [0, 1]),
        (["1.png", "2.png"], (".",), [0, 0]),
        (["only/1.png", "only/2.png"], ("only",), [0, 0]),
        (["0.png", "a/1.png", "a/deep/2.png"], (".", "a", "a/deep"), [0, 1, 2]),
    ],
)
def test_classes_are_named_from_where_the_folders_part_ways(
    data: Path, names: list[str], class_names: tuple[str, ...], labels: list[int]
) -> None:
    write_zip(data / "set.zip", dict.fromkeys(names, picture_bytes(RED)))
    found = load("set.zip")
    assert (found.class_names, found.labels.tolist()) == (class_names, labels)


def test_folders_named_train_and_test_are_the_parts(data: Path) -> None:
    names = ("train/b/1.png", "train/b/2.png", "train/a/1.png", "test/b/1.png")
    write_files(data / "set", {name: picture_bytes(RED) for name in names})
    training, test = load_train_and_test(FolderSpec(path="set", size=4))
    assert (training.labels.tolist(), test.labels.tolist()) == ([0, 1, 1], [1])
    assert training.class_names == test.class_names == ("a", "b")


def test_a_folder_without_a_test_part_holds_out_every_sixth(data: Path) -> None:
    write_files(data / "set", {f"a/{index}.png": picture_bytes((index, 0, 0)) for index in range(8)})
    training, test = load_train_and_test(FolderSpec(path="set", size=4))
    assert training.images[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5, 7]
    assert test.images[:, 0, 0, 0].tolist() == [0, 6]
    assert len(load("set").images) == 8


def test_the_middle_square_is_cut_out(data: Path) -> None:
    striped = Image.new("RGB", (24, 8), RED)
    striped.paste(GREEN, (8, 0, 16, 8))
    (data / "set").mkdir()
    striped.save(data / "set" / "wide.png")
    striped.rotate(90, expand=True).save(data / "set" / "tall.png")
    assert load("set", size=8).images.unique(dim=3).unique(dim=2).squeeze().tolist() == [[0, 255, 0]] * 2


def test_shrinking_averages_instead_of_picking_pixels(data: Path) -> None:
    board = Image.new("L", (64, 64))
    board.putdata([255 * ((x + y) % 2) for y in range(64) for x in range(64)])
    (data / "set").mkdir()
    board.save(data / "set" / "board.png")
    values = load("set", size=8).images.float()
    assert (values.min().item(), values.max().item()) == pytest.approx((127.5, 127.5), abs=4)


def test_grey_is_the_luminosity(data: Path) -> None:
    files = {"1.png": RED, "2.png": GREEN, "3.png": BLUE, "4.png": (10, 20, 30), "5.png": (255, 255, 255)}
    write_files(data / "set", {name: picture_bytes(colour) for name, colour in files.items()})
    images = load("set", colour="grey").images
    # 255·0.2989 = 76.2, 255·0.5870 = 149.7, 255·0.1140 = 29.1; 2.989 + 11.74 + 3.42 = 18.1; 255·0.9999 = 255.0
    assert first_pixels(images) == [[76], [150], [29], [18], [255]]
    assert to_grey(torch.tensor([10, 20, 30], dtype=torch.uint8).reshape(1, 3, 1, 1)).item() == 18


def test_transparent_pixels_lie_on_white_and_photographs_stand_upright(data: Path) -> None:
    turned = Image.new("RGB", (8, 8), RED)
    turned.paste(GREEN, (0, 0, 8, 4))
    content = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180°
    turned.save(content, "PNG", exif=exif)
    clear = picture_bytes((0, 0, 0, 0), mode="RGBA")
    write_files(data / "set", {"1.png": clear, "2.png": content.getvalue()})
    assert first_pixels(load("set", size=8).images) == [[255, 255, 255], [255, 0, 0]]


def test_sixteen_bits_are_scaled_and_not_cut_off(data: Path) -> None:
    (data / "set").mkdir()
    Image.new("I;16", (8, 8), 257 * 100).save(data / "set" / "deep.png")
    assert first_pixels(load("set").images) == [[100, 100, 100]]


def test_a_file_that_cannot_be_read_is_left_out_and_told(data: Path) -> None:
    whole = picture_bytes(RED, size=(64, 64), kind="JPEG")
    write_zip(data / "set.zip", {"a/1.jpg": whole, "a/2.jpg": whole[:200], "b/3.png": b"text", "b/4.jpg": whole})
    found = load("set.zip")
    assert (len(found.images), found.labels.tolist()) == (2, [0, 1])
    (warning,) = found.warnings
    assert warning == "2 of 4 image files in set.zip cannot be read and are left out: a/2.jpg, b/3.png"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a/1.png": b"text", "a/2.png": b""}, "None of the 2 image files in set can be read"),
        ({"a/notes.txt": b"text"}, "set holds no images"),
    ],
)
def test_nothing_readable_is_an_error(data: Path, files: dict[str, bytes], words: str) -> None:
    write_files(data / "set", files)
    with pytest.raises(DatasetUnavailable, match=words):
        load("set")


def test_what_is_not_there_or_no_zip_says_where_it_was_looked_for(data: Path) -> None:
    with pytest.raises(DatasetUnavailable, match=r"no folder or zip none in .*data or .*cache.*GANVAS_DATA"):
        load("none")
    (data / "text").write_text("text")
    with pytest.raises(DatasetUnavailable, match="text is neither a folder nor a zip file"):
        load("text")


def test_the_cache_is_looked_in_after_the_data_folder(data: Path) -> None:
    write_files(sources.cache_dir() / "set", {"1.png": picture_bytes(RED)})
    assert first_pixels(load("set").images) == [[255, 0, 0]]
    write_files(data / "set", {"1.png": picture_bytes(BLUE)})
    assert first_pixels(load("set").images) == [[0, 0, 255]]


@pytest.fixture
def outside(data: Path) -> Path:
    """A data set beside the data folder."""
    return write_files(data.parent / "outside", {"a/1.png": picture_bytes(RED)})


def test_a_link_that_leaves_the_data_folder_is_refused(data: Path, outside: Path) -> None:
    (data / "set").symlink_to(outside)
    with pytest.raises(DatasetUnavailable, match="leads out of that folder"):
        load("set")


@pytest.mark.parametrize("path", ["../outside", "set/../../outside", "{absolute}"])
def test_a_path_that_no_spec_checked_does_not_lead_outside_either(data: Path, outside: Path, path: str) -> None:
    (data / "set").mkdir()
    spec = FolderSpec.model_construct(path=path.format(absolute=outside), size=4)
    with pytest.raises(DatasetUnavailable, match="leads out of that folder"):
        load_training(spec)


def test_linked_files_and_folders_in_a_data_set_are_not_followed_outside(data: Path, outside: Path) -> None:
    write_files(data / "set", {"b/2.png": picture_bytes(BLUE)})
    (data / "set" / "b" / "1.png").symlink_to(outside / "a" / "1.png")
    (data / "set" / "a").symlink_to(outside / "a")
    (data / "set" / "round").symlink_to(data / "set")
    found = load("set")
    assert first_pixels(found.images) == [[0, 0, 255]]
    assert found.warnings == ("1 of 2 image files in set cannot be read and are left out: b/1.png",)


def test_links_inside_the_data_folder_are_read(data: Path) -> None:
    write_files(data / "real", {"a/1.png": picture_bytes(RED)})
    (data / "set").symlink_to(data / "real")
    write_files(data / "other", {"b/2.png": picture_bytes(BLUE)})
    (data / "other" / "b" / "1.png").symlink_to(data / "real" / "a" / "1.png")
    assert first_pixels(load("set").images) == [[255, 0, 0]]
    assert first_pixels(load("other").images) == [[255, 0, 0], [0, 0, 255]]


def test_without_the_guard_a_link_would_lead_outside(
    data: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control of the guards on links."""
    monkeypatch.setattr(Path, "is_relative_to", lambda *_: True)
    write_files(data / "set", {"b/2.png": picture_bytes(BLUE)})
    (data / "set" / "b" / "1.png").symlink_to(outside / "a" / "1.png")
    (data / "linked").symlink_to(outside)
    assert first_pixels(load("set").images) == [[255, 0, 0], [0, 0, 255]]
    assert first_pixels(load("linked").images) == [[255, 0, 0]]
    assert len(load_training(FolderSpec.model_construct(path="../outside", size=4)).images) == 1


def test_a_pipe_among_the_images_is_left_out_and_not_waited_for(data: Path) -> None:
    write_files(data / "set", {"b.png": picture_bytes(BLUE)})
    os.mkfifo(data / "set" / "a.png")
    assert len(load("set").images) == 1


def bomb_bytes() -> bytes:
    """A PNG of 7,100×7,100 = 50,410,000 black pixels in a few kilobytes."""
    return picture_bytes((0,), size=(7100, 7100), mode="1")


def test_a_picture_of_too_many_pixels_is_left_out(data: Path) -> None:
    write_zip(data / "set.zip", {"1.png": bomb_bytes(), "2.png": picture_bytes(BLUE)})
    assert first_pixels(load("set.zip").images) == [[0, 0, 255]]


def test_without_the_cap_it_would_be_decoded(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control of the cap on pixels."""
    monkeypatch.setattr("ganlib.datasets.folder._MAX_PIXELS", 10**9)
    # The dashboard lowers it for its whole process, which is that of all tests.
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 10**9)
    write_zip(data / "set.zip", {"1.png": bomb_bytes()})
    assert first_pixels(load("set.zip").images) == [[0, 0, 0]]


@pytest.mark.parametrize("cap", [100, None])
def test_a_member_that_declares_too_many_bytes_is_left_out(
    data: Path, monkeypatch: pytest.MonkeyPatch, cap: int | None
) -> None:
    large = picture_bytes(RED) + bytes(1000)
    write_zip(data / "set.zip", {"1.png": large, "2.png": picture_bytes(BLUE)})
    write_files(data / "set", {"1.png": large, "2.png": picture_bytes(BLUE)})
    if cap is not None:
        monkeypatch.setattr(sources, "MAX_FILE_BYTES", cap)
    expected = [[0, 0, 255]] if cap is not None else [[255, 0, 0], [0, 0, 255]]
    assert first_pixels(load("set.zip").images) == first_pixels(load("set").images) == expected


@pytest.mark.parametrize("room", [0, 1])
def test_a_zip_that_unfolds_to_too_much_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    content = picture_bytes(RED)
    write_zip(data / "set.zip", {"1.png": content, "2.png": content})
    monkeypatch.setattr(sources, "MAX_ZIP_BYTES", 2 * len(content) - 1 + room)
    if room:
        assert len(load("set.zip").images) == 2
    else:
        with pytest.raises(DatasetUnavailable, match="unfold to more than"):
            load("set.zip")


def test_a_member_that_declares_less_than_it_holds_is_left_out(data: Path) -> None:
    good = picture_bytes(BLUE)
    bad = picture_bytes(RED, size=(64, 64), kind="BMP")
    path = write_zip(data / "set.zip", {"1.bmp": bad, "2.png": good})
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = content.index(b"PK\x01\x02")
        assert archive.getinfo("1.bmp").file_size == len(bad)
    content[start + 24 : start + 28] = (60).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    assert first_pixels(load("set.zip").images) == [[0, 0, 255]]


def test_too_many_images_for_the_memory_are_refused_before_decoding(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(data / "set", SMALL)
    monkeypatch.setattr(folder, "MAX_DECODED_BYTES", 3 * 3 * 8 * 8 - 1)
    with pytest.raises(DatasetUnavailable, match="3 images of 8×8 in set take too many bytes"):
        load("set", size=8)


def test_a_damaged_zip_is_an_error(data: Path) -> None:
    path = write_zip(data / "set.zip", SMALL)
    content = path.read_bytes()
    start = content.index(b"PK\x01\x02")
    path.write_bytes(content[:start] + b"XXXX" + content[start + 4 :])
    with pytest.raises(DatasetUnavailable, match="cannot be read as a zip file"):
        load("set.zip")


@pytest.fixture
def count_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Keep sets of any size in the cache, and return a function that says how many images were decoded."""
    decoded: list[int] = []
    decode = folder.decode_picture

    def counting(content: bytes, size: int) -> Any:
        decoded.append(size)
        return decode(content, size)

    monkeypatch.setattr(folder, "decode_picture", counting)
    monkeypatch.setattr(folder, "CACHED_FROM", 1)
    return lambda: len(decoded)


@pytest.mark.parametrize("write", [write_files, write_zip])
def test_a_large_set_is_decoded_once_until_it_or_the_size_changes(
    data: Path, count_decoding: Callable[[], int], write: Callable[..., Path]
) -> None:
    write(data / "set", SMALL | {"a/bad.png": b"text"})
    first, again = load("set"), load("set")
    assert count_decoding() == 4
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert (first.class_names, first.warnings) == (again.class_names, again.warnings)
    assert again.warnings
    load("set", size=8)
    assert count_decoding() == 8
    write(data / "set", SMALL | {"a/bad.png": picture_bytes(RED)})
    assert len(load("set").images) == 4
    assert count_decoding() == 12


def test_a_damaged_or_unwritable_cache_only_costs_time(data: Path, count_decoding: Callable[[], int]) -> None:
    write_files(data / "set", SMALL)
    load("set")
    (stored,) = (sources.cache_dir() / "decoded").iterdir()
    stored.write_bytes(stored.read_bytes()[:50])
    assert len(load("set").images) == 3
    stored.unlink()
    stored.parent.rmdir()
    stored.parent.write_text("a file where a folder should be")
    assert len(load("set").images) == 3
    assert count_decoding() == 9


def test_a_run_tells_what_it_left_out_once_and_goes_on_to_the_same_bytes(
    data: Path, make_spec: MakeSpec, run_training: Callable[..., Run]
) -> None:
    files = {f"a/{index}.png": picture_bytes((index, 99, 0)) for index in range(20)}
    write_zip(data / "set.zip", files | {"a/bad.png": b"text"})
    spec = make_spec(dataset={"name": "folder", "path": "set.zip", "size": 8, "colour": "grey"})
    whole = run_training(spec)
    line, _ = whole.of_kind("line_logged")
    assert (line.iteration, line.level) == (0, "warning")
    assert line.text == "1 of 21 image files in set.zip cannot be read and are left out: a/bad.png"
    assert whole.of_kind("training_started")[0].image_count == 20
    stopped = run_training(spec, stop_at=4)
    resumed = run_training(spec, resume_from=stopped.out_dir / "checkpoints" / "00000004.safetensors")
    assert resumed.of_kind("line_logged") == []
    last = "checkpoints/00000006.safetensors"
    assert resumed.files()[last] == whole.files()[last]


@pytest.mark.skipif(not EMOJI.is_file(), reason="GANVAS_DATA has no emoji-192.zip")
def test_the_emoji_are_192_images_in_two_classes(data: Path) -> None:
    (data / EMOJI.name).write_bytes(EMOJI.read_bytes())
    found = load("emoji-192.zip", size=64)
    assert found.images.shape == (192, 3, 64, 64)
    assert (found.class_names, found.labels.bincount().tolist()) == (("animals", "faces"), [74, 118])
    assert found.warnings == ()
