"""Makes PyPI's torch run on processors without the CUDA libraries that it asks for: 4 GB and their download.

    python without_cuda.py SITE-PACKAGES COMPILER …

torch must be installed without its dependencies. Its libraries name CUDA's and are not loaded without them, though
a machine without a card calls none. So each library of those gets a stand-in of some kilobytes that defines the
same names, and every function of it answers "no device" (100, cudaErrorNoDevice): torch then finds no card. The
requirements for the originals, and for Triton, which compiles for cards, are taken out of torch's metadata.

Needs pyelftools and a C compiler, such as `python -m ziglang cc`; it is for images alone (Dockerfile, worker-cpu).
"""

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import SymbolTableSection

# Libraries of CUDA by their names, and the functions of those that give them no version.
# Not the driver's libcuda: torch looks for that one by itself.
LIBRARY = re.compile(r"lib(?!cuda\.)(cu|nv|nccl)[A-Za-z_]*\.so\.\d+")
FUNCTION = re.compile(r"(cu|nccl|nv)[A-Za-z_]\w*")
REQUIREMENT = re.compile(r"Requires-Dist: (nvidia|cuda|triton)[-\w]*")
NO_DEVICE = 100


def main(site: Path, compiler: Sequence[str]) -> None:
    """Write the stand-ins beside torch's libraries, and its metadata without the requirements."""
    libraries = site / "torch" / "lib"
    wanted = find_functions(libraries)
    for name, functions in sorted(wanted.items()):
        write_library(libraries / name, functions, compiler)
    for path in site.glob("torch-*.dist-info/METADATA"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not REQUIREMENT.match(line)), encoding="utf-8")
    print(f"{len(wanted)} libraries of CUDA have stand-ins: {', '.join(sorted(wanted))}")


def find_functions(folder: Path) -> dict[str, dict[str, set[str]]]:
    """Return the functions that the libraries in this folder want of each of CUDA's libraries, by their version.

    Those that are wanted without a version, so that any library may have them, are put into one.
    """
    wanted: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    unversioned: set[str] = set()
    for path in sorted(folder.glob("*.so*")):
        with path.open("rb") as file:
            elf = ELFFile(file)
            for name in _needed(elf):
                wanted[name][""] |= set()
            for function, library, version in _undefined(elf):
                if LIBRARY.fullmatch(library):
                    wanted[library][version].add(function)
                elif not library and FUNCTION.fullmatch(function):
                    unversioned.add(function)
    for functions in list(wanted.values())[:1]:
        functions[""] |= unversioned
    return {name: dict(functions) for name, functions in wanted.items()}


def write_library(path: Path, functions: dict[str, set[str]], compiler: Sequence[str]) -> None:
    """Compile a library whose functions do nothing, with the versions that torch's libraries ask for."""
    # What registers a library's own code is called while it is loaded, and must seem to succeed.
    answers = {
        name: 0 if name.startswith("__") else NO_DEVICE for name in sorted(set().union(*functions.values()))
    }
    source = "".join(f"int {name}(void) {{ return {answer}; }}\n" for name, answer in answers.items())
    script = "".join(
        f"{version} {{ global: {'; '.join(sorted(names))}; }};\n"
        for version, names in functions.items()
        if version
    )
    with tempfile.TemporaryDirectory() as folder:
        code, versions = Path(folder, "functions.c"), Path(folder, "versions")
        code.write_text(source or "static int nothing;\n")
        versions.write_text(script)
        options = ["-w", "-fno-builtin", "-shared", "-fPIC", f"-Wl,-soname,{path.name}"]
        options += [f"-Wl,--version-script={versions}"] if script else []
        subprocess.run([*compiler, *options, "-o", str(path), str(code)], check=True)


def _needed(elf: ELFFile) -> Iterator[str]:
    for section in elf.iter_sections():
        if isinstance(section, DynamicSection):
            for tag in section.iter_tags("DT_NEEDED"):
                if LIBRARY.fullmatch(tag.needed):
                    yield tag.needed


def _undefined(elf: ELFFile) -> Iterator[tuple[str, str, str]]:
    """Yield each name that a library wants, and the library and version that it wants it of, if it says so."""
    sections = list(elf.iter_sections())
    versions: dict[int, tuple[str, str]] = {}
    for section in sections:
        if isinstance(section, GNUVerNeedSection):
            for need, parts in section.iter_versions():
                versions |= {part["vna_other"]: (need.name, part.name) for part in parts}
    table = next((section for section in sections if isinstance(section, GNUVerSymSection)), None)
    for section in sections:
        if isinstance(section, SymbolTableSection) and section.name == ".dynsym":
            for index, symbol in enumerate(section.iter_symbols()):
                if symbol.name and symbol["st_shndx"] == "SHN_UNDEF":
                    number = table.get_symbol(index)["ndx"] if table is not None else None
                    yield symbol.name, *versions.get(number, ("", ""))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
