"""`topdis-gan rtd`: the divergence of two clouds in .npy files whose rows correspond, with its spread."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganspace_topdis.options import Command, Settings, option

__all__ = ["COMMAND", "Options", "run", "to_text"]


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """Two clouds, and the subsets on which they are compared."""

    x: Path = option(help="A .npy file of (N, ...).", argument=True)
    y: Path = option(help="A .npy file with the same N.", argument=True)
    trials: int = option(10, help="Random subsets.", group="Subsets", minimum=1)
    batch: int = option(500, help="Points of a subset.", group="Subsets", minimum=2)
    seed: int = option(0, help="Seed of the subsets.", group="Subsets")
    plot: Path | None = option(None, help="Draw the barcode here (.png).", group="Output", metavar="FILE")


def run(options: Options) -> dict[str, Any]:
    """{"rtd": mean, "std", "values": one per subset, "num_points": of a subset, "files": written}.

    Raises:
        InvalidArgumentError: the clouds do not correspond.
        TopdisError: a file cannot be read.
    """
    from ganspace_topdis.topology.command import rtd_of_files

    score = rtd_of_files(
        options.x, options.y, trials=options.trials, batch=options.batch, seed=options.seed, plot=options.plot
    )
    return {
        "rtd": score.mean,
        "std": score.std,
        "values": list(score.values),
        "num_points": score.num_points,
        "files": [] if options.plot is None else [str(options.plot)],
    }


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """The divergence, then the plot."""
    subsets = f"{len(record['values'])} subsets of {record['num_points']} points"
    return "\n".join([f"RTD {record['rtd']:.6g} ± {record['std']:.2g} ({subsets})", *record["files"]])


COMMAND = Command(
    options=Options,
    run=run,
    to_text=to_text,
    help="Print the RTD of two clouds in .npy files, whose rows correspond, with its spread.",
    examples=("topdis-gan rtd x.npy y.npy", "topdis-gan rtd x.npy y.npy --trials 20 --plot bars.png"),
)
