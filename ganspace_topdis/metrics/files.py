"""Codes and factors in files: read without executing anything, scored, and compared.

read_array      .npy, .npz (numbers; one array, or FILE.npz:NAME), .csv (a header is allowed), .parquet (an extra)
score_files     the scores of one representation, as a `Report`
compare_files   two representations of the same examples, with intervals
agree_files     UDR: how far models of other seeds agree, without factors
"""

import csv
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ganspace_topdis.errors import InvalidArgumentError, MissingDependencyError, TopdisError
from ganspace_topdis.metrics.evaluation import Compared, Report, compare, measure
from ganspace_topdis.metrics.groups import metric_groups
from ganspace_topdis.metrics.inputs import Array, rng_of
from ganspace_topdis.metrics.unsupervised import udr
from ganspace_topdis.runs.archives import map_file, member_sizes, open_archive, parse_npy, read_member
from ganspace_topdis.runs.reading import ReadingError

__all__ = ["agree_files", "compare_files", "read_array", "score_files"]

PAGE_MARK = b"<title>Metrics of "
"""Identifies a page that a later run may replace."""

_FORMATS = ".npy, .npz, .csv or .parquet"


def score_files(
    codes: str,
    factors: str,
    codes_test: str | None = None,
    factors_test: str | None = None,
    *,
    metrics: Sequence[str] | None = None,
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
        metrics: names of groups; all by default.
        seed: of every draw.
        out: where a page is written.
        progress: called with the number of groups done and in total.

    Raises:
        InvalidArgumentError: an option or array is not allowed, or a requested metric is undefined.
        TopdisError: a file cannot be read.
        RunFolderError: the page cannot be written.
    """
    groups = metric_groups(metrics)
    if out is not None:
        _check_page(out)
    array, (labels, header) = read_array(codes), _read(factors)
    held = tuple(None if path is None else read_array(path) for path in (codes_test, factors_test))
    start, measured = time.perf_counter(), []
    for each in measure(array, labels, *held, metrics=metrics, seed=seed):
        if each.problem is not None and metrics is not None:
            raise InvalidArgumentError(f"`metrics` {each.group}: {each.problem}", field="metrics")
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
    metrics: Sequence[str] | None = None,
    num_resamples: int = 50,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Compared]:
    """Compare the codes in two files; see `evaluation.compare`.

    Args:
        codes: the two files.
        factors: file of (N, K).
        metrics: names of groups; all that do not learn by default.
        num_resamples: random halves for the intervals.
        seed: of every draw.
        progress: called with the number of samples done and in total.

    Raises:
        InvalidArgumentError: an option or array is not allowed, or a metric is undefined.
        TopdisError: a file cannot be read.
    """
    metric_groups(metrics)
    first, second = (read_array(path) for path in codes)
    return compare(
        first,
        second,
        read_array(factors),
        metrics=metrics,
        num_resamples=num_resamples,
        seed=seed,
        progress=progress,
    )


def agree_files(codes: Sequence[str], *, num_points: int = 1000, seed: int = 0) -> Array:
    """The UDR (M,) of the codes of M models in as many files; see `unsupervised.udr`.

    Args:
        codes: M files of (N, D_m): the same N images encoded by models that differ in their seed.
        num_points: at most so many rows, the same for all, drawn at random; the literature takes 1,000.
        seed: of the draw.

    Raises:
        InvalidArgumentError: fewer than two files, or arrays that do not fit together.
        TopdisError: a file cannot be read.
    """
    arrays = [read_array(path) for path in codes]
    if len(arrays) < 2 or len({len(each) for each in arrays}) > 1:
        raise InvalidArgumentError(
            f"`udr`: {len(arrays)} files of {[len(each) for each in arrays]} rows; give the codes of the same images "
            "by two models or more",
            field="udr",
        )
    rows = np.sort(rng_of(seed).permutation(len(arrays[0]))[:num_points])
    return udr([each[rows] for each in arrays])


def read_array(path: str) -> Array:
    """The array in a file, (N, D). Nothing in the file is executed.

    Args:
        path: .npy, .npz (its only array, or FILE.npz:NAME), .csv or .parquet. A single column of numbers in .npy may
            be (N,). Text comes in .csv or .parquet.

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
    except (OSError, ValueError, EOFError, csv.Error) as error:  # a ReadingError is a ValueError
        if isinstance(error, TopdisError) and not isinstance(error, ReadingError):
            raise
        raise TopdisError(f"{file} cannot be read ({error}); give {_FORMATS}") from error
    return _column(array), header


def _read_npy(file: Path) -> tuple[Array, None]:
    return parse_npy(map_file(file)), None


def _read_npz(file: Path, key: str) -> Array:
    with open_archive(map_file(file)) as archive:
        names = list(member_sizes(archive))
        if not key and len(names) != 1:
            raise InvalidArgumentError(f"{file} holds {', '.join(names)}; name one as {file}:{names[0]}")
        if key and key not in names:
            raise InvalidArgumentError(f"{file} holds {', '.join(names)}, not {key!r}; name one of them")
        return read_member(archive, key or names[0])


def _read_csv(file: Path) -> tuple[Array, tuple[str, ...] | None]:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        rows = [row for row in csv.reader(lines) if row]
    if not rows:
        raise InvalidArgumentError(f"{file} is empty; give one row per example")
    if len({len(row) for row in rows}) != 1:
        raise InvalidArgumentError(f"{file}: rows of different lengths; give one row per example")
    header = tuple(rows.pop(0)) if _has_header(rows) else None
    cells = np.array(rows)
    if all(_is_number(cell) or not cell for cell in cells.ravel()):
        return np.where(cells == "", "nan", cells).astype(np.float64), header
    return cells, header


def _has_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: it holds no number, and no text that its own column holds again."""
    first, *others = rows
    if not others or any(_is_number(cell) for cell in first):
        return False
    return not any(cell and cell in column for cell, column in zip(first, zip(*others, strict=True), strict=True))


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
        raise InvalidArgumentError(
            f"`out` {out} must end in .html; the scores as JSON are printed by --json", field="out"
        )
    if not out.parent.is_dir():
        raise InvalidArgumentError(f"`out` {out}: there is no folder {out.parent}; make it first", field="out")
    if out.exists() and PAGE_MARK not in out.read_bytes()[:200]:
        raise InvalidArgumentError(f"`out` {out} exists and is not a page of metrics; choose another name", field="out")


def _column(array: Array) -> Array:
    return array[:, None] if array.ndim == 1 else array


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
