"""`topdis-gan metrics`: scores of any representation in files, two compared, or several without factors.

codes, factors     every metric, with its cost, and a page
compare, factors   two representations of the same examples, with intervals
udr                agreement of models that differ in their seed
"""

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.groups import METRICS
from ganspace_topdis.options import Command, Settings, option, seed_option, split_names

__all__ = ["COMMAND", "Options", "run", "to_text"]


_FILES, _SCORES = "Files", "Scores"


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What is scored. Exactly one of `codes`, `compare` and `udr` is given; the first two need `factors`.

    Raises:
        InvalidArgumentError: options that exclude each other.
    """

    codes: str | None = option(None, help="Codes, (N, D): .npy, .npz, .csv or .parquet.", group=_FILES, metavar="FILE")
    factors: str | None = option(None, help="Factors, (N, K).", group=_FILES, metavar="FILE")
    test_codes: str | None = option(
        None,
        help="More codes, for metrics that learn.",
        group=_FILES,
        metavar="FILE",
        default_text="a third of the codes",
    )
    test_factors: str | None = option(None, help="Their factors.", group=_FILES, metavar="FILE")
    compare: tuple[str, str] | None = option(
        None, help="Instead of `codes`: two files of the same examples.", group=_FILES, metavar="A B", nargs=2
    )
    udr: tuple[str, ...] = option(
        (),
        help="Instead of `codes`: codes of the same images, one file per model of another seed.",
        group=_FILES,
        metavar="FILE",
        multiple=True,
    )
    out: Path | None = option(None, help="Write a page here (.html).", group=_FILES, metavar="FILE")
    metrics: tuple[str, ...] | None = option(
        None,
        help="Metric groups, such as mig,dci.",
        group=_SCORES,
        metavar="NAME,...",
        default_text="all; with `compare`, those that do not learn",
        parse=split_names,
        complete=lambda: [group.name for group in METRICS],
    )
    resamples: int = option(50, help="Random halves for the intervals of `compare`.", group=_SCORES, minimum=10)
    seed: int = seed_option(_SCORES, help="Seed of every draw.")

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in ("codes", "compare", "udr") if getattr(self, name)]
        if len(given) != 1:
            raise InvalidArgumentError("give exactly one of `codes`, `compare` and `udr`", field="codes")
        if self.factors is None and not self.udr:
            raise InvalidArgumentError(f"`{given[0]}` needs `factors`; give the file of the factors", field="factors")
        unused = ("out", "test_codes", "test_factors", *(("factors", "metrics") if self.udr else ()))
        if not self.codes and (excess := [name for name in unused if getattr(self, name) is not None]):
            raise InvalidArgumentError(f"`{given[0]}` does not take `{excess[0]}`; leave it out", field=excess[0])
        if (self.test_codes is None) != (self.test_factors is None):
            raise InvalidArgumentError("`test_codes` and `test_factors` belong together; give both", field="test_codes")


def run(options: Options) -> dict[str, Any]:
    """The scores as one JSON document. Progress goes to stderr.

    With `codes`: file names, "scores" by key, "seconds" by group, "undefined" groups with the reason, and "files"
    written. With `compare`: by score, "first", "second", and the ends "low" and "high" of the 95 % interval of their
    difference. With `udr`: "udr" by file.

    Raises:
        InvalidArgumentError: an option or array is not allowed, or a requested metric is undefined.
        TopdisError: a file cannot be read or written.
    """
    from ganspace_topdis.metrics.files import agree_files, compare_files, score_files
    from ganspace_topdis.runs.progress import ProgressReporter

    if options.udr:
        scores = agree_files(options.udr, seed=options.seed)
        return {"udr": {path: float(score) for path, score in zip(options.udr, scores, strict=True)}}
    assert options.factors is not None, "validated on construction"
    with ProgressReporter("compare" if options.compare else "metrics") as progress:
        if options.compare is not None:
            rows = compare_files(
                options.compare,
                options.factors,
                metrics=options.metrics,
                num_resamples=options.resamples,
                seed=options.seed,
                progress=progress,
            )
            return {row.key: {name: value for name, value in asdict(row).items() if name != "key"} for row in rows}
        assert options.codes is not None, "validated on construction"
        report = score_files(
            options.codes,
            options.factors,
            options.test_codes,
            options.test_factors,
            metrics=options.metrics,
            seed=options.seed,
            out=options.out,
            progress=progress,
        )
    return {**report.as_dict(), "files": [] if options.out is None else [str(options.out)]}


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """The record as a table of at most 80 columns, followed by the files written."""
    if options.udr:
        width = max(map(len, record["udr"]))
        return "\n".join([f"{'codes':<{width}}     UDR", *(f"{k:<{width}}{v:>8.4f}" for k, v in record["udr"].items())])
    if options.compare is not None:
        return _comparison_text(options.compare, record)
    return "\n".join([_scores_text(record), *record["files"]])


def _scores_text(record: Mapping[str, Any]) -> str:
    lines = [f"{'metric':<18}{'score':<42}{'value':>9}{'seconds':>9}"]
    for group in METRICS:
        if group.name not in record["seconds"]:
            continue
        cost, title = f"{record['seconds'][group.name]:.2f}", group.title
        if group.name in record["undefined"]:
            lines.extend(_wrapped(title, f"undefined: {record['undefined'][group.name]}"))
        for key in group.keys:
            if key in record["scores"]:
                lines.append(f"{title:<18}{key:<42}{record['scores'][key]:>9.4f}{cost:>9}".rstrip())
                title = cost = ""
    points = f"{record['num_points']} points"
    return "\n".join([*lines, f"{'all':<18}{points:<42}{'':>9}{record['total_seconds']:>9.2f}"])


def _comparison_text(names: tuple[str, str], record: Mapping[str, Any]) -> str:
    """A star marks intervals that exclude 0."""
    first, second = ("..." + name[-7:] if len(name) > 10 else name for name in names)
    lines = [f"{'score':<34}{first:>11}{second:>11}  {'difference, 95 %':<20}"]
    for key, row in record.items():
        star = " *" if row["low"] > 0 or row["high"] < 0 else ""
        interval = f"{row['low']:+.3f} to {row['high']:+.3f}{star}"
        lines.append(f"{key[:33]:<34}{row['first']:>11.4f}{row['second']:>11.4f}  {interval}")
    if any(line.endswith("*") for line in lines):
        lines.append("*: the interval excludes 0")
    return "\n".join(line.rstrip() for line in lines)


def _wrapped(title: str, text: str) -> list[str]:
    return [f"{title if not number else '':<18}{line}" for number, line in enumerate(textwrap.wrap(text, 60))]


COMMAND = Command(
    options=Options,
    run=run,
    to_text=to_text,
    help="""Score any representation by every disentanglement metric, or compare two of the same examples.

    A factor is discrete if all its values are whole numbers or text, else continuous; an empty label is missing.""",
    examples=(
        "topdis-gan metrics --codes codes.npy --factors factors.npy --out page.html",
        "topdis-gan metrics --compare a.npy b.npy --factors factors.csv --metrics mig",
        "topdis-gan metrics --udr seed0.npy --udr seed1.npy --udr seed2.npy",
    ),
)
