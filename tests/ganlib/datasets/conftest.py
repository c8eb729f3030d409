"""A data folder and an empty cache of a test's own."""

from pathlib import Path

import pytest
from torchvision.datasets import CIFAR10, MNIST


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that GANVAS_DATA names; the cache is empty, and files are downloaded from nowhere."""
    monkeypatch.setenv("GANVAS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar.tar.gz")
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    (tmp_path / "data").mkdir()
    return tmp_path / "data"
