"""A worker's image without a card: a library that wants CUDA's is loaded with stand-ins, and not without them."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOAD = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1], mode=2).count())"
METADATA = """Name: torch
Requires-Dist: filelock
Requires-Dist: cuda-toolkit[cublas]==13.2.2; platform_system == "Linux"
Requires-Dist: nvidia-nccl-cu13==2.30.7
Requires-Dist: triton~=3.9.0
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Packages with a torch whose library wants functions, with and without a version, of libraries now gone."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("a C compiler is missing")
    folder = tmp_path / "torch" / "lib"
    folder.mkdir(parents=True)

    def compile_library(name: str, code: str, *options: object) -> None:
        command = [
            compiler,
            "-shared",
            "-fPIC",
            "-o",
            folder / name,
            "-x",
            "c",
            "-",
            f"-Wl,-soname,{name}",
            *options,
        ]
        subprocess.run(command, input=code, text=True, check=True)

    (tmp_path / "map").write_text("CUDART_13 { global: *; };")
    count = "int cudaGetDeviceCount(void) { return 7; } int __cudaRegister(void) { return 7; }"
    compile_library("libcudart.so.13", count, f"-Wl,--version-script={tmp_path / 'map'}")
    compile_library("libnccl.so.2", "int ncclInit(void) { return 7; }")
    wants = "int cudaGetDeviceCount(void); int __cudaRegister(void); int ncclInit(void);"
    code = f"{wants} int count(void) {{ return cudaGetDeviceCount() + __cudaRegister() + ncclInit(); }}"
    compile_library(
        "libtorch_cuda.so",
        code,
        "-Wl,--no-as-needed,-rpath,$ORIGIN",
        f"-L{folder}",
        "-l:libcudart.so.13",
        "-l:libnccl.so.2",
    )
    for name in ("libcudart.so.13", "libnccl.so.2"):
        (folder / name).unlink()
    (tmp_path / "torch-2.15.0.dist-info").mkdir()
    (tmp_path / "torch-2.15.0.dist-info" / "METADATA").write_text(METADATA)
    return tmp_path


def load(site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", "-c", LOAD, site / "torch" / "lib" / "libtorch_cuda.so"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_with_stand_ins_for_cuda_torch_is_loaded_and_finds_no_card(site: Path) -> None:
    assert "cannot open shared object file" in load(site).stderr
    script: dict[str, Any] = runpy.run_path(str(ROOT / "docker" / "without_cuda.py"))
    script["main"](site, ["gcc"])
    # "No device" twice, and what registers code says that it did.
    assert load(site).stdout.strip() == "200"
    assert (site / "torch-2.15.0.dist-info" / "METADATA").read_text() == "Name: torch\nRequires-Dist: filelock\n"
