"""Counts of the source code: files, lines, functions, parameters, annotations, imports.

    python -m benchmarks.structure                          # this repository
    python -m benchmarks.structure --against FOLDER ...     # beside other packages: folders of their sources or wheels
    python -m benchmarks.structure --walk                   # the files that run between a command and its result

Counts are of the syntax tree, so comments and docstrings count as lines of their file and of their function. A walk
runs a small `discover` and a small `train-vae` and lists the files of this repository in the order in which one of
their functions is first called; what only importing executes does not count.
"""

import argparse
import ast
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("cli.py", "ganspace_topdis", "stylegan2", "vae")
WALKS = {
    "checkpoint to pictures": ("discover", "--steps", "2", "--out", "discover"),
    "train-vae to result": (
        *("train-vae", "--data", "dsprites:posX=8,posY=8,orientation=8", "--topdis", "1", "--steps", "2"),
        *("--batch-size", "16", "--out", "vae"),
    ),
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(root: Path = ROOT, packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """The text of every module below the packages, by dotted name; a package is named as its folder."""
    found = {}
    for package in packages:
        path = root / package
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = file.read_text(encoding="utf-8")
    return found


def imports(root: Path = ROOT, packages: tuple[str, ...] = PACKAGES) -> dict[str, set[str]]:
    """Which module imports which, among those of the packages, imports inside functions included."""
    texts = sources(root, packages)
    folders = {name.rpartition(".")[0] for name in texts} | set(packages)
    graph: dict[str, set[str]] = {}
    for name, text in texts.items():
        home = name if name in folders else name.rpartition(".")[0]
        graph[name] = {module for module in _imported(ast.parse(text), home, texts) if module != name}
    return graph


def _imported(tree: ast.AST, home: str, modules: dict[str, str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            parts = home.split(".")[: len(home.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                if full in modules or base in modules:
                    yield full if full in modules else base


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of nodes that reach each other: Tarjan's strongly connected components of more than one node."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for successor in sorted(graph.get(node, ())):
            if successor not in order:
                visit(successor)
                lowest[node] = min(lowest[node], lowest[successor])
            elif successor in stack:
                lowest[node] = min(lowest[node], order[successor])
        if lowest[node] == order[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return groups


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The counts of one code base; lengths are in lines, shares between 0 and 1."""

    modules: int
    lines: int
    median_file: float
    largest_file: int
    functions: int
    median_function: float
    largest_function: int
    functions_over_40: int
    median_parameters: float
    most_parameters: int
    imports_per_module: float  # of modules of the same packages, mean
    annotated: float  # functions whose parameters and result are all annotated

    @classmethod
    def of(cls, root: Path, packages: tuple[str, ...]) -> "Figures":
        """Count the packages below `root`."""
        texts = sources(root, packages)
        files = [text.count("\n") for text in texts.values()]
        functions = [n for text in texts.values() for n in ast.walk(ast.parse(text)) if isinstance(n, Function)]
        lengths = [(node.end_lineno or node.lineno) - node.lineno + 1 for node in functions]
        parameters = [len(_parameters(node)) for node in functions]
        return cls(
            modules=len(files),
            lines=sum(files),
            median_file=statistics.median(files),
            largest_file=max(files),
            functions=len(functions),
            median_function=statistics.median(lengths),
            largest_function=max(lengths),
            functions_over_40=sum(length > 40 for length in lengths),
            median_parameters=statistics.median(parameters),
            most_parameters=max(parameters),
            imports_per_module=statistics.mean(len(found) for found in imports(root, packages).values()),
            annotated=statistics.mean(_is_annotated(node) for node in functions),
        )


def _parameters(function: Function) -> list[ast.arg]:
    """The parameters, without `self` and `cls`."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return [argument for argument in named if argument is not None and argument.arg not in ("self", "cls")]


def _is_annotated(function: Function) -> bool:
    complete = all(argument.annotation is not None for argument in _parameters(function))
    return complete and (function.returns is not None or function.name == "__init__")


def table(figures: dict[str, Figures]) -> str:
    """The counts as a Markdown table, one row per code base."""
    heads = (
        *("code base", "modules", "lines", "file: median", "largest", "functions", "function: median", "largest"),
        *("over 40 lines", "parameters: median", "most", "imports per module", "annotated"),
    )
    rows = [
        f"| {name} | {f.modules} | {f.lines:,} | {f.median_file:.0f} | {f.largest_file:,} | {f.functions:,} "
        f"| {f.median_function:.0f} | {f.largest_function} | {f.functions_over_40} | {f.median_parameters:.0f} "
        f"| {f.most_parameters} | {f.imports_per_module:.1f} | {f.annotated:.0%} |"
        for name, f in figures.items()
    ]
    return "\n".join([f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *rows])


def counted(path: Path) -> Figures:
    """The counts of another code base: a checkout of this repository, a package's folder, or a wheel."""
    if path.suffix == ".whl":
        with tempfile.TemporaryDirectory() as scratch:
            with zipfile.ZipFile(path) as wheel:
                wheel.extractall(scratch)
            return Figures.of(Path(scratch), (path.name.split("-")[0],))
    if (path / "cli.py").is_file():
        return Figures.of(path, PACKAGES)
    return Figures.of(path.parent, (path.name,))


def walk(root: Path, arguments: tuple[str, ...]) -> list[str]:
    """The files of this repository below `root` whose functions a command calls, in the order of their first call."""
    script = f"""
import inspect, sys, threading
from pathlib import Path
root = {str(root)!r}
sys.path.insert(0, root)
order = {{}}
def note(frame, event, argument):
    code = frame.f_code
    is_function = code.co_flags & inspect.CO_OPTIMIZED  # not the body of a module or class
    if event == "call" and is_function and code.co_filename.startswith(root):
        order.setdefault(code.co_filename)
sys.setprofile(note)
threading.setprofile(note)
import cli
try:
    cli.main({arguments!r})
except SystemExit as end:
    assert not end.code, end.code
finally:
    sys.setprofile(None)
    Path("files.txt").write_text("\\n".join(order))
"""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, "-c", script], check=True, cwd=scratch, stdout=subprocess.DEVNULL)
        files = (Path(scratch) / "files.txt").read_text(encoding="utf-8").splitlines()
    return [str(Path(file).relative_to(root)) for file in files]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="a checkout of this repository")
    parser.add_argument("--against", type=Path, nargs="*", default=[], help="folders or wheels of other packages")
    parser.add_argument("--walk", action="store_true", help="run the commands and list their files")
    options = parser.parse_args()
    if options.walk:
        for name, arguments in WALKS.items():
            files = walk(options.root.resolve(), arguments)
            print(f"{name}: {len(files)} files", *files, sep="\n    ")
    else:
        others = {path.name.split("-")[0]: counted(path) for path in options.against}
        print(table({"this repository": Figures.of(options.root, PACKAGES), **others}))


if __name__ == "__main__":
    main()
