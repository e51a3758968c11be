"""`topdis-gan metrics`: arrays of codes and factors read, scored, compared, and printed.

read_array     .npy, .npz (one array, or NAME.npz:KEY), .csv (a header is allowed), .parquet (extra `parquet`)
score_files    the scores of one representation, as a record that is printed as a table, JSON or a page
compare_files  two representations of the same examples, with intervals
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganspace_topdis.errors import InvalidArgumentError, MissingDependencyError, TopdisError
from ganspace_topdis.metrics.evaluation import METRICS, Compared, Measured, compare, measure, metric_groups
from ganspace_topdis.metrics.inputs import Array
from ganspace_topdis.runs.progress import ProgressReporter

__all__ = [
    "Report",
    "compare_files",
    "compare_text",
    "compared_dict",
    "print_metrics",
    "read_array",
    "report_text",
    "score_files",
]

PAGE_MARK = b"<title>Metrics of "
"""How a page that may be replaced is told from other files."""

_FORMATS = ".npy, .npz, .csv or .parquet"


@dataclass(frozen=True)
class Report:
    """What `topdis-gan metrics` found.

    Attributes:
        codes: the file of the codes.
        factors: the file of the factors.
        num_points: rows of the codes.
        measured: what each group gave.
        seconds: what all took.
        names: of the factors, from the header of a table, else their numbers.
    """

    codes: str
    factors: str
    num_points: int
    measured: tuple[Measured, ...]
    seconds: float
    names: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The JSON document."""
        return {
            "codes": self.codes,
            "factors": self.factors,
            "num_points": self.num_points,
            "scores": {key: value for each in self.measured for key, value in each.scores.items()},
            "seconds": {each.group: round(each.seconds, 3) for each in self.measured},
            "undefined": {each.group: each.problem for each in self.measured if each.problem is not None},
        }


def score_files(
    codes: str,
    factors: str,
    codes_test: str | None = None,
    factors_test: str | None = None,
    *,
    metrics: str | None = None,
    seed: int = 0,
    out: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Score the codes in a file.

    Args:
        codes: file of (N, D).
        factors: file of (N, K).
        codes_test: file of (M, D), for metrics that learn.
        factors_test: file of (M, K).
        metrics: names of groups, separated by commas; all by default.
        seed: of every draw.
        out: where a page is written.
        progress: called with the number of groups done and to do.

    Raises:
        InvalidArgumentError: an option or array is not allowed, or a metric that was asked for is undefined.
        TopdisError: a file cannot be read.
        RunFolderError: the page cannot be written.
    """
    names = _names(metrics)
    groups = metric_groups(names)
    if out is not None:
        _check_page(out)
    array, (labels, header) = read_array(codes), _read(factors)
    held = tuple(None if path is None else read_array(path) for path in (codes_test, factors_test))
    start, measured = time.perf_counter(), []
    for each in measure(array, labels, *held, metrics=names, seed=seed):
        if each.problem is not None and names is not None:
            raise InvalidArgumentError(f"--metrics {each.group}: {each.problem}")
        measured.append(each)
        if progress is not None:
            progress(len(measured), len(groups))
    header = header or tuple(str(k) for k in range(labels.shape[1]))
    report = Report(codes, factors, len(array), tuple(measured), time.perf_counter() - start, header)
    if out is not None:
        from ganspace_topdis.metrics.page import write_metrics_page

        write_metrics_page(out, report, array, labels, seed=seed)
    return report


def compare_files(
    codes: Sequence[str],
    factors: str,
    *,
    metrics: str | None = None,
    num_resamples: int = 50,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Compared]:
    """Compare the codes in two files, whose rows belong to the same examples.

    Raises:
        InvalidArgumentError: an option or array is not allowed.
        TopdisError: a file cannot be read.
    """
    first, second = (read_array(path) for path in codes)
    return compare(
        first,
        second,
        read_array(factors),
        metrics=_names(metrics),
        num_resamples=num_resamples,
        seed=seed,
        progress=progress,
    )


def print_metrics(options: Mapping[str, Any], *, as_json: bool, echo: Callable[[str], None]) -> None:
    """Run the command by its options and print the result; progress goes to stderr.

    Raises:
        InvalidArgumentError: neither or both of --codes and --compare, or as `score_files` and `compare_files`.
        TopdisError: a file cannot be read or written.
    """
    if (options["codes"] is None) == (not options["compare"]):
        raise InvalidArgumentError("give either --codes or --compare A B")
    common = {name: options[name] for name in ("metrics", "seed")}
    if options["compare"]:
        if options["out"] is not None or options["test_codes"] is not None or options["test_factors"] is not None:
            raise InvalidArgumentError("--compare takes neither --out nor --test-codes nor --test-factors")
        files = options["compare"]
        with ProgressReporter("compare") as progress:
            rows = compare_files(
                files, options["factors"], num_resamples=options["resamples"], progress=progress, **common
            )
        echo(json.dumps(compared_dict(rows), indent=2) if as_json else compare_text(files, rows))
        return
    paths = [options[name] for name in ("codes", "factors", "test_codes", "test_factors")]
    with ProgressReporter("metrics") as progress:
        report = score_files(*paths, out=options["out"], progress=progress, **common)
    page = [] if options["out"] is None else [str(options["out"])]
    echo(json.dumps({**report.as_dict(), "files": page}, indent=2) if as_json else report_text(report))
    if page and not as_json:
        echo(page[0])


def report_text(report: Report) -> str:
    """The table of a report, at most 80 columns wide."""
    titles = {group.name: group.title for group in METRICS}
    lines = [f"{'metric':<18}{'score':<42}{'value':>9}{'seconds':>9}"]
    for each in report.measured:
        cost, title = f"{each.seconds:.2f}", titles[each.group]
        if each.problem is not None:
            lines.extend(_wrapped(title, f"undefined: {each.problem}"))
        for key, value in each.scores.items():
            lines.append(f"{title:<18}{key:<42}{value:>9.4f}{cost:>9}".rstrip())
            title = cost = ""
    points = f"{report.num_points} points"
    lines.append(f"{'all':<18}{points:<42}{'':>9}{report.seconds:>9.2f}")
    return "\n".join(lines)


def compare_text(names: Sequence[str], rows: Sequence[Compared]) -> str:
    """The table of a comparison, at most 80 columns wide; a star marks intervals that leave out 0."""
    first, second = ("..." + name[-7:] if len(name) > 10 else name for name in names)
    lines = [f"{'score':<34}{first:>11}{second:>11}  {'difference, 95 %':<20}"]
    for row in rows:
        interval = f"{row.low:+.3f} to {row.high:+.3f}{' *' if row.clear else ''}"
        lines.append(f"{row.key[:33]:<34}{row.first:>11.4f}{row.second:>11.4f}  {interval}")
    return "\n".join(line.rstrip() for line in lines)


def compared_dict(rows: Sequence[Compared]) -> dict[str, Any]:
    """The JSON document of a comparison."""
    return {row.key: {name: value for name, value in asdict(row).items() if name != "key"} for row in rows}


def read_array(path: str) -> Array:
    """The array in a file, (N, D). Nothing in the file is executed.

    Args:
        path: .npy, .npz (its only array, or FILE.npz:NAME), .csv or .parquet. A single column of numbers in .npy may
            be (N,).

    Raises:
        TopdisError: the file is missing or of another kind.
        InvalidArgumentError: an .npz of several arrays without a name.
        MissingDependencyError: a .parquet file, and pyarrow is not installed.
    """
    return _read(path)[0]


def _read(path: str) -> tuple[Array, tuple[str, ...] | None]:
    """The array in a file and the names of its columns, where it has them."""
    name, _, key = path.partition(".npz:")
    file = Path(name + ".npz" if key else path)
    readers = {".npy": _read_npy, ".csv": _read_csv, ".parquet": _read_parquet}
    try:
        if file.suffix == ".npz":
            return _column(_read_npz(file, key)), None
        if file.suffix not in readers:
            raise InvalidArgumentError(f"{file}: {file.suffix or 'no'} suffix is not a known table; give {_FORMATS}")
        array, header = readers[file.suffix](file)
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, TopdisError):
            raise
        raise TopdisError(f"{file} cannot be read ({error}); give {_FORMATS}") from error
    return _column(array), header


def _read_npy(file: Path) -> tuple[Array, None]:
    return np.load(file, allow_pickle=False), None


def _read_npz(file: Path, key: str) -> Array:
    with np.load(file, allow_pickle=False) as arrays:
        names = list(arrays)
        if not key and len(names) != 1:
            raise InvalidArgumentError(f"{file} holds {', '.join(names)}; name one as {file}:{names[0]}")
        if key and key not in names:
            raise InvalidArgumentError(f"{file} holds {', '.join(names)}, not {key!r}; name one of them")
        return np.asarray(arrays[key or names[0]])


def _read_csv(file: Path) -> tuple[Array, tuple[str, ...] | None]:
    import csv

    with file.open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.reader(lines) if row]
    if len({len(row) for row in rows}) != 1:
        raise InvalidArgumentError(f"{file}: rows of different lengths; give one row per example")
    header = tuple(rows.pop(0)) if not any(_is_number(cell) for cell in rows[0]) and len(rows) > 1 else None
    cells = np.array(rows)
    if all(_is_number(cell) or not cell for cell in cells.ravel()):
        return np.where(cells == "", "nan", cells).astype(np.float64), header
    return cells, header


def _read_parquet(file: Path) -> tuple[Array, tuple[str, ...]]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError(
            f"reading {file} needs pyarrow; install it with pip install 'topdis-gan[parquet]', or give {_FORMATS}"
        ) from error
    table = parquet.read_table(file)
    columns = [np.array(column.to_pylist(), dtype=object) for column in table.columns]
    array = np.stack(columns, axis=1)
    try:
        return np.where(array == None, np.nan, array).astype(np.float64), tuple(table.column_names)  # noqa: E711
    except ValueError:
        return array, tuple(table.column_names)


def _check_page(out: Path) -> None:
    """Refuse, before anything is computed, a page that cannot be written or would replace another file."""
    if out.suffix not in (".html", ".htm"):
        raise InvalidArgumentError(f"--out {out} must end in .html; the scores as JSON are printed by --json")
    if not out.parent.is_dir():
        raise InvalidArgumentError(f"--out {out}: there is no folder {out.parent}; make it first")
    if out.exists() and PAGE_MARK not in out.read_bytes()[:200]:
        raise InvalidArgumentError(f"--out {out} exists and is not a page of metrics; choose another name")


def _column(array: Array) -> Array:
    return array[:, None] if array.ndim == 1 else array


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _names(metrics: str | None) -> list[str] | None:
    if metrics is None:
        return None
    names = [name.strip() for name in metrics.split(",") if name.strip()]
    try:
        metric_groups(names)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"--metrics: {error}") from error
    return names


def _wrapped(title: str, text: str) -> list[str]:
    import textwrap

    return [f"{title if not number else '':<18}{line}" for number, line in enumerate(textwrap.wrap(text, 60))]
