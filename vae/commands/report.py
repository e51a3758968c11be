"""`topdis-gan report`: write the tables and plots of a suite.

read the results folder -> compute statistics -> tables, plots and pages; see `vae.suite.report` for the files
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import Command, Settings, option

if TYPE_CHECKING:
    from vae.suite.results import SuiteResults

__all__ = ["COMMAND", "Options", "run", "to_text"]


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What is reported, and where."""

    results: Path = option(help="Results folder of `topdis-gan suite`.", argument=True)
    out: Path | None = option(None, help="Output folder.", group="Output", default_text="report in the results folder")
    only: str | None = option(
        None,
        help="Report only the cells with such names, the folders in cells/: 'dsprites-16--beta-vae--*'.",
        group="Output",
        metavar="PATTERN",
        default_text="all",
    )
    against: Path | None = option(None, help="Other results to compare with.", group="Output", metavar="DIR")
    baseline: str | None = option(
        None,
        help="Label that the others are compared with, such as 'equal compute'.",
        group="Output",
        metavar="LABEL",
        default_text="that of the suite",
    )


def run(options: Options) -> dict[str, Any]:
    """Write the report; return {"files": paths}.

    Raises:
        InvalidArgumentError: no cell has a name like `only`, or no variant has the label `baseline`.
        RunFolderError: there are no results, or the report cannot be written.
        MissingDependencyError: matplotlib is not installed.
    """
    from vae.suite.folder import SuiteFolder
    from vae.suite.report import write_report

    path = options.results
    results = SuiteFolder.load(path).results(only=options.only)
    if options.baseline is not None:
        results = _compared_with(results, options.baseline)
    against = None if options.against is None else _load_other(options.against)
    files = write_report(results, options.out or path / "report", against=against)
    return {"files": [str(file) for file in files]}


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """Return the files, one per line."""
    return "\n".join(record["files"])


def _compared_with(results: "SuiteResults", baseline: str) -> "SuiteResults":
    """The results with another baseline."""
    labels = dict.fromkeys(record.labels[results.axis] for record in results.records) if results.axis else {}
    if baseline not in labels:
        allowed = f"allowed are {', '.join(labels)}" if labels else "the suite compares nothing; leave `baseline` out"
        raise InvalidArgumentError(f"`baseline` is {baseline!r}, {allowed}", field="baseline")
    return replace(results, baseline=baseline)


def _load_other(path: Path) -> "SuiteResults":
    """Load other results, named after their folder."""
    from vae.suite.folder import SuiteFolder

    return replace(SuiteFolder.load(path).results(), name=os.fspath(path))


COMMAND = Command(
    options=Options,
    run=run,
    to_text=to_text,
    help="Write the tables and plots of a suite's results: HTML, Markdown, CSV, LaTeX and PNG.",
    examples=("topdis-gan report results/quick", "topdis-gan report results/new --against results/old"),
)
