"""What may import what, and the counts of benchmarks/structure.py. docs/architecture.md explains the rules."""

import re
from pathlib import Path

import pytest

from benchmarks.structure import ROOT, Figures, cycles, imports, sources, table

PROGRAM = "ganspace_topdis.program"
"""The list of all commands: the one file of the core that knows the other packages."""
MAY_IMPORT = {
    "cli": {"ganspace_topdis"},
    "vae": {"ganspace_topdis"},
    "stylegan2": {"ganspace_topdis"},
    "ganspace_topdis": set(),
}


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    return imports()


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_those_below_it(graph: dict[str, set[str]], package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    wrong = {
        f"{name} imports {imported}"
        for name, found in graph.items()
        if name.partition(".")[0] == package and name != PROGRAM
        for imported in found
        if imported.partition(".")[0] not in allowed
    }
    assert wrong == set()


def test_only_the_command_line_imports_the_program(graph: dict[str, set[str]]) -> None:
    assert {name for name, found in graph.items() if PROGRAM in found} == {"cli"}


def test_no_modules_import_each_other_in_a_circle(graph: dict[str, set[str]]) -> None:
    assert cycles(graph) == []


def test_no_rooms_import_each_other_in_a_circle(graph: dict[str, set[str]]) -> None:
    rooms: dict[str, set[str]] = {}
    for name, found in graph.items():
        for imported in found:
            room, other = (".".join(module.split(".")[:2]) for module in (name, imported))
            if room != other and "." in room and "." in other:  # a package's own __init__ only re-exports
                rooms.setdefault(room, set()).add(other)
    assert cycles(rooms) == []


@pytest.mark.parametrize(
    "room", ["topology", "latent", "discovery", "evaluation", "metrics", "traversal", "report", "runs", "safe_pickle"]
)
def test_the_core_does_not_know_the_command_line(room: str) -> None:
    texts = {name: text for name, text in sources().items() if name.startswith(f"ganspace_topdis.{room}")}
    assert texts
    assert [name for name, text in texts.items() if "import click" in text or "from click" in text] == []


@pytest.fixture
def package(tmp_path: Path) -> Path:
    files = {
        "__init__.py": "from p.a import one\n",
        "a.py": "import os\n\nfrom . import b\n\n\ndef one(x: int, *rest: int) -> int:\n    return x\n",
        "b.py": "def two(self, y):\n    from p.sub.c import C\n    return C\n",
        "sub/__init__.py": "",
        "sub/c.py": "from ..a import one\n\n\nclass C:\n    def __init__(self, z: int):\n        one(z)\n",
    }
    for name, text in files.items():
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_text(text)
    return tmp_path


def test_imports_are_found_absolute_relative_and_inside_functions(package: Path) -> None:
    assert imports(package, ("p",)) == {
        "p": {"p.a"},
        "p.a": {"p.b"},
        "p.b": {"p.sub.c"},
        "p.sub": set(),
        "p.sub.c": {"p.a"},
    }
    assert cycles(imports(package, ("p",))) == [["p.a", "p.b", "p.sub.c"]]


def test_the_counts_of_a_small_package_are_those_of_its_files(package: Path) -> None:
    figures = Figures.of(package, ("p",))
    assert (figures.modules, figures.lines, figures.median_file, figures.largest_file) == (5, 17, 3, 7)
    assert (figures.functions, figures.median_function, figures.largest_function) == (3, 2, 3)
    assert (figures.median_parameters, figures.most_parameters) == (1, 2)
    assert figures.annotated == pytest.approx(2 / 3)
    assert figures.imports_per_module == pytest.approx(4 / 5)
    assert table({"p": figures}).splitlines()[2].startswith("| p | 5 | 17 | 3 | 7 | 3 | 2 | 3 | 0 | 1 | 2 | 0.8 |")


def test_every_file_that_the_map_names_exists() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:ganspace_topdis|stylegan2|vae|tests|benchmarks|docs|examples|\.ci)/[\w./]*)`", page))
    assert len(named) > 40
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("package", ["ganspace_topdis", "stylegan2", "vae"])
def test_the_map_names_every_room(package: str) -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page[page.index("## The rooms") : page.index("## How to add")]
    rooms = {folder.parent.name for folder in (ROOT / package).glob("*/__init__.py")}
    assert {room for room in rooms if f"| `{room}` |" not in section} == set()
