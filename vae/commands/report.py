"""`topdis-gan report`: write the tables and plots of a suite.

read the results folder -> compute statistics -> tables, plots and pages; see `vae.suite.report` for the files
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vae.suite.folder import SuiteFolder
from vae.suite.report import write_report
from vae.suite.results import SuiteResults

__all__ = ["execute", "to_text"]


def execute(options: Mapping[str, Any]) -> dict[str, Any]:
    """Write the report of the folder "results" to "out", by default `report` within it; return {"files": ...}.

    The scores of another results folder, "against", are shown beside its own.

    Raises:
        RunFolderError: there are no results, or the report cannot be written.
        MissingDependencyError: matplotlib is not installed.
    """
    path = options["results"]
    against = None if options["against"] is None else _load_other(options["against"])
    files = write_report(SuiteFolder.load(path).results(), options["out"] or path / "report", against=against)
    return {"files": [str(file) for file in files]}


def to_text(record: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Return the files, one per line."""
    return "\n".join(record["files"])


def _load_other(path: Path) -> SuiteResults:
    """Load other results, named after their folder."""
    return replace(SuiteFolder.load(path).results(), name=os.fspath(path))
