"""`topdis-gan metrics`: scores of any representation in files, or two of them compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import Command, Settings, option, split_names

__all__ = ["COMMAND", "Options", "run", "to_text"]

_FILES, _SCORES = "Files", "Scores"


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What is scored. Exactly one of `codes` and `compare` is given.

    Raises:
        InvalidArgumentError: options that exclude each other.
    """

    codes: str | None = option(None, help="Codes, (N, D): .npy, .npz, .csv or .parquet.", group=_FILES, metavar="FILE")
    factors: str = option(help="Factors, (N, K).", group=_FILES, metavar="FILE")
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
    out: Path | None = option(None, help="Write a page here (.html).", group=_FILES, metavar="FILE")
    metrics: tuple[str, ...] | None = option(
        None,
        help="Metric groups, such as mig,dci.",
        group=_SCORES,
        metavar="NAME,...",
        default_text="all",
        parse=split_names,
    )
    resamples: int = option(50, help="Random halves for the intervals of `compare`.", group=_SCORES, minimum=2)
    seed: int = option(0, help="Seed of every draw.", group=_SCORES)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.codes is None) == (self.compare is None):
            raise InvalidArgumentError("give either `codes` or `compare`", field="codes")
        if self.compare is not None and (self.out or self.test_codes or self.test_factors):
            raise InvalidArgumentError(
                "`compare` takes neither `out` nor `test_codes` nor `test_factors`", field="compare"
            )


def run(options: Options) -> dict[str, Any]:
    """The scores, or the comparison, as one JSON document. Progress goes to stderr.

    Raises:
        InvalidArgumentError: an option or array is not allowed, or a requested metric is undefined.
        TopdisError: a file cannot be read or written.
    """
    from ganspace_topdis.metrics.command import compare_files, compare_text, compared_dict, report_text, score_files
    from ganspace_topdis.runs.progress import ProgressReporter

    metrics = None if options.metrics is None else ",".join(options.metrics)
    if options.compare is not None:
        with ProgressReporter("compare") as progress:
            rows = compare_files(
                options.compare,
                options.factors,
                metrics=metrics,
                num_resamples=options.resamples,
                seed=options.seed,
                progress=progress,
            )
        return _Texted(compared_dict(rows), compare_text(options.compare, rows))
    assert options.codes is not None, "validated on construction"
    with ProgressReporter("metrics") as progress:
        report = score_files(
            options.codes,
            options.factors,
            options.test_codes,
            options.test_factors,
            metrics=metrics,
            seed=options.seed,
            out=options.out,
            progress=progress,
        )
    page = [] if options.out is None else [str(options.out)]
    return _Texted({**report.as_dict(), "files": page}, "\n".join([report_text(report), *page]))


class _Texted(dict[str, Any]):
    """A record with its text, which the table of the metrics formats."""

    def __init__(self, record: Mapping[str, Any], text: str) -> None:
        super().__init__(record)
        self.text = text


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """The table of the scores."""
    return record.text if isinstance(record, _Texted) else ""


COMMAND = Command(
    options=Options,
    run=run,
    to_text=to_text,
    help="""Score any representation by every disentanglement metric, or compare two of the same examples.

    A factor is discrete if all its values are whole numbers or text, else continuous; an empty label is missing.""",
    examples=(
        "topdis-gan metrics --codes codes.npy --factors factors.npy --out page.html",
        "topdis-gan metrics --compare a.npy b.npy --factors factors.csv --metrics mig",
    ),
)
