"""Artifacts: up, down, listed and deleted, inside their run whatever is tried; pictures become the timeline."""

import struct
import zlib
from pathlib import Path
from urllib.parse import quote

import pytest

from api.mlflow.files.pictures import Picture, read_picture
from tests.api.mlflow.conftest import FILES, Mlflow

REFUSED = (400, "INVALID_PARAMETER_VALUE")
UUID = "0b8e634a-4416-4489-8ca1-0123456789ab"


def make_png(width: int = 4, height: int = 3, shade: int = 0) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + bytes([shade]) * width) * height)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_file_goes_up_and_comes_down(mlflow: Mlflow, experiment: str, run: str) -> None:
    root = f"{experiment}/{run}/artifacts"
    large = bytes(range(256)) * 8192
    for name, content in (("t.txt", b"hi"), ("folder/x.txt", b"x"), ("folder/sub/y.bin", large), ("empty", b"")):
        mlflow.upload(f"{root}/{name}", content)
    assert mlflow.list_files(root) == [("empty", 0), ("folder", None), ("t.txt", 2)]
    assert mlflow.list_files(f"{root}/folder") == [("sub", None), ("x.txt", 1)]
    assert mlflow.list_files(f"{root}/t.txt") == mlflow.list_files(f"{root}/none") == []
    down = mlflow.client.get(f"{FILES}/{root}/folder/sub/y.bin")
    assert (down.content, down.headers["content-disposition"]) == (large, "attachment")
    listed = mlflow.get("artifacts/list", run_id=run, path="folder")
    assert listed["root_uri"] == f"mlflow-artifacts:/{root}"
    assert [each["path"] for each in listed["files"]] == ["folder/sub", "folder/x.txt"]
    files = mlflow.client.get(f"/jobs/{mlflow.find_job(run)['id']}/files").json()["items"]
    assert [each["name"] for each in files] == ["empty", "folder/sub/y.bin", "folder/x.txt", "t.txt"]


def test_a_later_file_takes_the_place_of_an_earlier_one(any_mlflow: Mlflow) -> None:
    number = any_mlflow.create_experiment()
    root = f"{number}/{any_mlflow.create_run(number)}/artifacts"
    for content in (b"one", b"another"):
        any_mlflow.upload(f"{root}/a.txt", content)
    assert any_mlflow.list_files(root) == [("a.txt", 7)]
    assert any_mlflow.client.get(f"{FILES}/{root}/a.txt").content == b"another"


def test_a_folder_and_a_file_do_not_share_a_name(mlflow: Mlflow, experiment: str, run: str) -> None:
    root = f"{experiment}/{run}/artifacts"
    mlflow.upload(f"{root}/a/b", b"")
    for name in ("a", "a/b/c"):
        answer = mlflow.client.put(f"{FILES}/{root}/{name}", content=b"x")
        assert (answer.status_code, answer.json()["error_code"]) == REFUSED


def test_deleted_files_are_gone_from_the_run_and_its_page(mlflow: Mlflow, experiment: str, run: str) -> None:
    root = f"{experiment}/{run}/artifacts"
    for name in ("folder/x.txt", "folder/sub/y.txt", "Folder/z.txt", "folder.txt"):
        mlflow.upload(f"{root}/{name}", name.encode())
    mlflow.upload(f"{root}/images/samples+step+7+timestamp+1+{UUID}.png", make_png())
    assert mlflow.client.delete(f"{FILES}/{root}/folder").json() == {}
    assert mlflow.client.delete(f"{FILES}/{root}/images").json() == {}
    assert mlflow.list_files(root) == [("Folder", None), ("folder.txt", 10)]
    job_id = mlflow.find_job(run)["id"]
    files = mlflow.client.get(f"/jobs/{job_id}/files").json()["items"]
    assert [each["name"] for each in files] == ["Folder/z.txt", "folder.txt"]
    assert mlflow.client.get(f"/jobs/{job_id}/samples").json()["items"] == []
    assert mlflow.client.delete(f"{FILES}/{root}/folder").status_code == 404


# MLflow's own traversals (such as CVE-2023-1177, -2780, -6909, CVE-2024-1483, -1594, -2928, -3848) and relatives.
TRICKS = [
    "../../../etc/passwd",
    "%2e%2e/%2e%2e/secret",
    "%252e%252e/secret",
    "..%2f..%2fsecret",
    "..%5c..%5csecret",
    "a/../../secret",
    "/etc/passwd",
    "//etc/passwd",
    "a//b",
    "C:/secret",
    "C%3a/secret",
    "file:/etc/passwd",
    "file%3a%2f%2f/etc/passwd",
    "a%23/../../etc/passwd",
    "a%00.txt",
    "a%0a.txt",
    "a\\..\\secret",
    "%5c%5chost%5cshare",
    "n" * 501,
]


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_no_name_leads_out_of_its_run(
    mlflow: Mlflow, experiment: str, run: str, home: Path, trick: str, method: str
) -> None:
    (home / "secret").write_text("kept")
    before = {path for path in home.rglob("*") if path.suffix not in (".sqlite3-shm", ".sqlite3-wal")}
    # Sent as it is: httpx itself would resolve some of these.
    path = f"{FILES}/{experiment}/{run}/artifacts/{trick}"
    answer = mlflow.client.request(method, "http://localhost" + quote(path, safe="/%:\\"), content=b"x")
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["error_code"] in (
        "INVALID_PARAMETER_VALUE",
        "ENDPOINT_NOT_FOUND",
        "RESOURCE_DOES_NOT_EXIST",
    )
    assert (home / "secret").read_text() == "kept"
    assert {path for path in home.rglob("*") if path.suffix not in (".sqlite3-shm", ".sqlite3-wal")} == before


# Encoded once more in a query, these two are names.
LISTED = [trick for trick in TRICKS if trick not in ("a%00.txt", "a%0a.txt")]


@pytest.mark.parametrize("trick", [*LISTED, "..", ".", "./a", "a/.", "a\n.txt"])
def test_no_list_leads_out_of_its_run(mlflow: Mlflow, experiment: str, run: str, trick: str) -> None:
    answer = mlflow.client.get(FILES, params={"path": f"{experiment}/{run}/artifacts/{trick}"})
    assert (answer.status_code, answer.json().get("error_code")) == REFUSED
    assert mlflow.fails("GET", "artifacts/list", run_id=run, path=trick)[:2] == REFUSED


@pytest.mark.parametrize(
    "address",
    ["", "..", "1", "x/y", "{experiment}/{run}", "{experiment}/traces/t/artifacts/x", "9/{run}/artifacts/x"],
)
def test_an_address_of_nothing_is_refused(mlflow: Mlflow, experiment: str, run: str, address: str) -> None:
    answer = mlflow.client.get(FILES, params={"path": address.format(experiment=experiment, run=run)})
    assert answer.status_code in (400, 404)


def test_a_file_of_another_run_is_not_reached(mlflow: Mlflow, experiment: str, run: str) -> None:
    other = mlflow.create_run(experiment, "other")
    mlflow.upload(f"{experiment}/{run}/artifacts/a.txt", b"mine")
    assert mlflow.client.get(f"{FILES}/{experiment}/{other}/artifacts/a.txt").status_code == 404
    # The control: by its own address it is.
    assert mlflow.client.get(f"{FILES}/{experiment}/{run}/artifacts/a.txt").status_code == 200


def test_a_page_among_the_artifacts_is_never_shown_as_one(mlflow: Mlflow, experiment: str, run: str) -> None:
    mlflow.upload(f"{experiment}/{run}/artifacts/a.html", b"<script>alert(1)</script>")
    answer = mlflow.client.get(f"{FILES}/{experiment}/{run}/artifacts/a.html")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_deleted_run_takes_no_files(mlflow: Mlflow, experiment: str, run: str) -> None:
    mlflow.post("runs/delete", run_id=run)
    answer = mlflow.client.put(f"{FILES}/{experiment}/{run}/artifacts/a.txt", content=b"x")
    assert (answer.status_code, answer.json()["error_code"]) == REFUSED


def test_a_file_beyond_the_limit_is_refused_in_mlflows_form(mlflow: Mlflow, experiment: str, run: str) -> None:
    headers = {"content-length": str(2**50)}
    answer = mlflow.client.put(f"{FILES}/{experiment}/{run}/artifacts/a", content=b"x", headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (413, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("path", ["mpu/create", "mpu/complete", "mpu/abort", "presigned"])
def test_what_needs_another_store_is_not_supported(mlflow: Mlflow, experiment: str, run: str, path: str) -> None:
    address = f"/api/2.0/mlflow-artifacts/{path}/{experiment}/{run}/artifacts/x"
    answer = mlflow.client.request("GET" if path == "presigned" else "POST", address)
    assert (answer.status_code, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
    assert "not supported for the current artifact repository" in answer.json()["message"]


def log_image(mlflow: Mlflow, experiment: str, run: str, key: str, step: int, content: bytes) -> None:
    """Upload as `log_image(key=…, step=…)` does: the picture, and a small copy for MLflow's own pages."""
    name = f"images/{key.replace('/', '~')}+step+{step}+timestamp+1796039488367+{UUID}"
    mlflow.upload(f"{experiment}/{run}/artifacts/{quote(name)}.png", content)
    mlflow.upload(f"{experiment}/{run}/artifacts/{quote(name)}+compressed.webp", b"RIFF")


def timeline(mlflow: Mlflow, run: str) -> list[tuple[int, int, int]]:
    samples = mlflow.client.get(f"/jobs/{mlflow.find_job(run)['id']}/samples").json()["items"]
    return [(each["iteration"], each["cell_width"], each["cell_height"]) for each in samples]


def page_files(mlflow: Mlflow, run: str) -> list[str]:
    files = mlflow.client.get(f"/jobs/{mlflow.find_job(run)['id']}/files").json()["items"]
    return [each["name"] for each in files]


def test_logged_pictures_are_the_timeline_and_stay_artifacts(mlflow: Mlflow, experiment: str, run: str) -> None:
    for step in (7, 3):
        log_image(mlflow, experiment, run, "samples/grid", step, make_png(shade=step))
    assert timeline(mlflow, run) == [(3, 4, 3), (7, 4, 3)]
    assert page_files(mlflow, run) == []
    listed = [name for name, _ in mlflow.list_files(f"{experiment}/{run}/artifacts/images")]
    assert len(listed) == 4
    assert all(name.startswith("samples~grid+step+") for name in listed)


def test_the_first_series_is_the_timeline_until_a_generated_one_comes(
    mlflow: Mlflow, experiment: str, run: str
) -> None:
    log_image(mlflow, experiment, run, "real", 1, make_png(2, 2))
    log_image(mlflow, experiment, run, "masks", 1, make_png(3, 3))
    assert (timeline(mlflow, run), page_files(mlflow, run)) == ([(1, 2, 2)], ["images/masks/00000001.png"])
    log_image(mlflow, experiment, run, "fake images", 5, make_png(4, 4))
    log_image(mlflow, experiment, run, "real", 5, make_png(2, 2, 9))
    assert timeline(mlflow, run) == [(5, 4, 4)]
    series = ["images/masks/00000001.png", "images/real/00000001.png", "images/real/00000005.png"]
    assert page_files(mlflow, run) == series
    log_image(mlflow, experiment, run, "samples", 6, make_png())
    assert timeline(mlflow, run) == [(5, 4, 4)]


def test_pictures_that_a_loop_numbers_itself_are_a_timeline_too(mlflow: Mlflow, experiment: str, run: str) -> None:
    root = f"{experiment}/{run}/artifacts"
    for name in ("fake_00100.png", "fake_00200.png", "logo2.png", "real_00100.png"):
        mlflow.upload(f"{root}/{name}", make_png(shade=len(name)))
    assert [step for step, _, _ in timeline(mlflow, run)] == [100, 200]
    assert page_files(mlflow, run) == ["fake_00100.png", "fake_00200.png", "logo2.png", "real_00100.png"]


def test_what_only_is_called_a_picture_is_a_file(mlflow: Mlflow, experiment: str, run: str) -> None:
    log_image(mlflow, experiment, run, "samples", 1, b"no picture")
    assert timeline(mlflow, run) == []
    log_image(mlflow, experiment, run, "samples", 2, make_png(5000, 1))
    assert (timeline(mlflow, run), page_files(mlflow, run)) == ([], ["images/samples/00000002.png"])


def test_pictures_of_older_clients_are_read() -> None:
    # Not over HTTP: the test's client would decode the name twice.
    name = f"images/samples#grid%step%4%timestamp%1%{UUID}.png"
    assert read_picture(name, 2, 3) == Picture("samples/grid", 4, 2, 3, is_logged=True)
    assert read_picture(name.replace(".png", "%compressed.webp"), 2, 3) is None
