"""The generator of a checkpoint as a file: the bytes that ganlib wrote, under the network's own names."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from safetensors import safe_open
from safetensors.torch import load, save

from api.artifacts import generator_export
from api.artifacts.generator_export import NoGenerator, extract_generator, find_weights_prefix
from api.server.database.engine import Database
from ganlib.spec.parse import parse_spec
from ganlib.training.checkpoint import take_snapshot, write_checkpoint
from ganlib.training.state import build_state
from tests.support.services import add_claimed_job, make_checkpoint, make_metrics, make_spec, post

EMA = {"technique": "ema_generator", "decay": 0.9}


class Wire(io.BytesIO):
    """A file that comes over the network: it can only be read forward."""

    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize("techniques", [[], [EMA]], ids=["plain", "averaged"])
@pytest.mark.parametrize("kind", [io.BytesIO, Wire])
def test_generator_of_a_real_checkpoint_is_the_network_that_draws(
    tmp_path: Path, techniques: list[dict[str, Any]], kind: type[io.BytesIO]
) -> None:
    spec = parse_spec(make_spec(techniques=techniques))
    state = build_state(spec, torch.device("cpu"))
    sampler = state.networks.generator
    for technique in state.techniques:
        sampler = technique.choose_sampler(sampler)
    with torch.no_grad():
        next(iter(sampler.parameters())).add_(0.5)
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(take_snapshot(state), path)
    file = kind(path.read_bytes())
    cut = extract_generator(file, find_weights_prefix(spec.model_dump(mode="json")), {"job": "x"})
    written = b"".join(cut.read(file))
    assert len(written) == cut.size
    found, expected = load(written), sampler.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    sampler.load_state_dict(found)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"checkpoint 600",
        b"\xff" * 64,
        (2).to_bytes(8, "little") + b"[]",
        (2**62).to_bytes(8, "little") + b"{}",
        save({"discriminator.0.weight": torch.zeros(2)}),
        (69).to_bytes(8, "little") + b'{"generator.w":{"dtype":"F32","shape":[1],"data_offsets":[4,"x"]}}   ',
    ],
)
def test_files_without_a_generator_are_refused(data: bytes) -> None:
    with pytest.raises(NoGenerator):
        extract_generator(io.BytesIO(data), "generator.", {})


def make_file(*spans: tuple[int, int], size: int) -> bytes:
    """A checkpoint of so many bytes of tensors, whose header claims these offsets."""
    tensors = {
        f"generator.{place}": {"dtype": "U8", "shape": [end - start], "data_offsets": [start, end]}
        for place, (start, end) in enumerate(spans)
    }
    header = json.dumps(tensors).encode()
    return len(header).to_bytes(8, "little") + header + bytes(range(size))


@pytest.mark.parametrize(
    ("spans", "is_whole"),
    [
        ([(0, 4), (4, 8)], True),
        ([(4, 8), (0, 4)], True),
        ([(0, 2), (6, 8)], True),
        ([(0, 0), (0, 8), (8, 8)], True),
        ([(0, 8)] * 1000, False),
        ([(0, 5), (4, 8)], False),
        ([(0, 8), (2, 3)], False),
        ([(0, 9)], False),
        ([(0, 4), (2**40, 2**40 + 4)], False),
    ],
)
def test_an_export_is_never_larger_than_its_checkpoint(spans: list[tuple[int, int]], is_whole: bool) -> None:
    data = make_file(*spans, size=8)
    if not is_whole:
        with pytest.raises(NoGenerator):
            extract_generator(io.BytesIO(data), "generator.", {}, len(data))
        return
    file = io.BytesIO(data)
    cut = extract_generator(file, "generator.", {}, len(data))
    written = b"".join(cut.read(file))
    assert len(written) == cut.size
    begin = 8 + int.from_bytes(written[:8], "little")
    assert sorted(written[begin:]) == [byte for start, end in sorted(spans) for byte in range(start, end)]


def test_control_without_the_check_a_small_checkpoint_becomes_a_large_download(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(generator_export, "_lie_apart", lambda *_: True)
    data = make_file(*[(0, 8)] * 1000, size=8)
    cut = extract_generator(io.BytesIO(data), "generator.", {}, len(data))
    assert sum(size for _, size in cut.spans) == 8000


def test_generator_is_downloaded_with_what_it_is_of(client: TestClient, sqlite: Database, tmp_path: Path) -> None:
    content = save({"generator.0.weight": torch.ones(3), "discriminator.0.weight": torch.zeros(3)})
    sha256 = hashlib.sha256(content).hexdigest()
    kind = {"content-type": "application/octet-stream"}
    assert client.put(f"/artifacts/{sha256}", content=content, headers=kind).status_code == 200
    with sqlite.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_checkpoint(session, 40, content)], attempt=1)
    answer = client.get(f"/jobs/{job.id}/checkpoints/40/generator")
    assert answer.headers["content-disposition"].startswith("attachment")
    path = tmp_path / "generator.safetensors"
    path.write_bytes(answer.content)
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["ganvas"]) == {
            "checkpoint": sha256,
            "iteration": "40",
            "job": job.id,
            "name": "tiny",
        }
        assert list(file.keys()) == ["0.weight"]
        assert file.get_tensor("0.weight").tolist() == [1, 1, 1]
    assert client.get(f"/jobs/{job.id}/checkpoints/newest/generator").content == answer.content
    unjudged = client.get(f"/jobs/{job.id}/checkpoints/best/generator")
    assert unjudged.status_code == 404
    assert "no figure says which is the best" in unjudged.json()["error"]["message"]
    with sqlite.write() as session:
        post(session, job, [make_metrics(40, eval_classifier_score=3.0)], first=1)
    assert client.get(f"/jobs/{job.id}/checkpoints/best/generator").content == answer.content
    assert client.get(f"/jobs/{job.id}/checkpoints/worst/generator").status_code == 422
    missing = client.get(f"/jobs/{job.id}/checkpoints/41/generator")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "artifact_not_found")
