"""`topdis-gan rtd`: topological divergence of clouds in .npy files: of two, or of every pair of several."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganspace_topdis.options import Command, Settings, check_names, nested, option, seed_option, split_names
from ganspace_topdis.runs.outputs import OutputSettings

__all__ = ["COMMAND", "SCORES", "Options", "run", "to_text"]

SCORES = ("rtd", "rtd-lite", "srtd", "srtd-lite", "nts-e", "nts-m")
"""What can be computed; see `ganspace_topdis.metrics.representations`."""


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """The clouds, and the subsets on which they are compared; row i of every file belongs to the same example.

    Raises:
        InvalidArgumentError: an unknown score, or a plot that is no .png.
    """

    x: Path = option(help="A .npy file of (N, ...).", argument=True)
    y: Path = option(help="A .npy file with the same N.", argument=True)
    others: tuple[Path, ...] = option((), help="Further files, to compare every pair.", argument=True, nargs=-1)
    scores: tuple[str, ...] = option(
        ("rtd",),
        help=f"Scores: {', '.join(SCORES)}.",
        group="Scores",
        metavar="NAME,...",
        default_text="rtd",
        complete=lambda: SCORES,
        parse=split_names,
    )
    trials: int = option(10, help="Random subsets.", group="Subsets", minimum=1)
    batch: int = option(500, help="Points of a subset.", group="Subsets", minimum=2)
    seed: int = seed_option("Subsets", help="Seed of the subsets.")
    plot: Path | None = option(
        None,
        help="Draw here (.png) the barcode of two files, or the heat map and dendrogram of several.",
        group="Output",
        metavar="FILE",
    )
    output: OutputSettings = nested(OutputSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.scores:
            self.refuse("scores", f"names among {', '.join(SCORES)}")
        check_names(self.scores, SCORES, "scores")
        if self.plot is not None and self.plot.suffix.lower() != ".png":
            self.refuse("plot", "a file that ends in .png")

    @property
    def files(self) -> tuple[Path, ...]:
        """All files."""
        return (self.x, self.y, *self.others)


def run(options: Options) -> dict[str, Any]:
    """The scores as one JSON document. Progress goes to stderr.

    "num_points" of a subset, "num_rows" of a file, "pairs" (files "x" and "y", and under "scores" by name "mean",
    "std", the ends "low" and "high" of the 95 % interval of the mean, and "values"), and "files" written. For two files
    also "rtd", "std" and "values" of the first score; for several "matrices" of means by score, in the order of the
    files, and "order", that of the dendrogram's leaves.

    Raises:
        InvalidArgumentError: the clouds do not correspond, or an option is not allowed.
        TopdisError: a file cannot be read or written, or the picture exists and `force` is not set.
    """
    from ganspace_topdis.metrics.representations import compare_clouds, dissimilarities, load_cloud
    from ganspace_topdis.runs.progress import ProgressReporter
    from ganspace_topdis.topology.plot import leaf_order, plot_matrix

    if options.plot is not None:
        options.output.earlier(options.plot, argument="plot")
    clouds = [load_cloud(path) for path in options.files]
    with ProgressReporter("rtd") as progress:
        found = compare_clouds(
            clouds,
            scores=options.scores,
            trials=options.trials,
            batch=options.batch,
            seed=options.seed,
            progress=progress,
        )
    first, num = found[0], len(clouds)
    num_rows = len(clouds[0])
    record: dict[str, Any] = {"num_points": min(options.batch, num_rows), "num_rows": num_rows}
    record["pairs"] = _pairs(found, options)
    if num == 2:
        record |= {first.score: first.mean, "std": first.std, "values": list(first.values)}
    else:
        record["matrices"] = {name: _means(found, name, num) for name in options.scores}
        record["order"] = leaf_order(dissimilarities(found, options.scores[0], num))
    record["files"] = [] if options.plot is None else [str(options.plot)]
    if options.plot is not None and num == 2:
        _plot_barcode(clouds, options)
    elif options.plot is not None:
        score = options.scores[0]
        title = f"{_title(score)}, {'(1 - similarity) / 2, ' if score.startswith('nts') else ''}average linkage"
        plot_matrix(dissimilarities(found, score, num), [path.stem for path in options.files], title, options.plot)
    return record


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """One line per score of two files, a matrix per score of several, and the files written."""
    if "matrices" not in record:
        lines = [_score_line(name, row, record) for name, row in record["pairs"][0]["scores"].items()]
        return "\n".join([*lines, *record["files"]])
    names = [path.stem[:12] for path in options.files]
    subsets = len(next(iter(record["pairs"][0]["scores"].values()))["values"])
    lines = [f"means of {_counted(subsets, record)}"]
    for score, matrix in record["matrices"].items():
        lines.append("")
        lines.append(f"{_title(score):<12}" + "".join(f"{name:>13}" for name in names))
        lines += [
            f"{name:<12}" + "".join(f"{value:>13.5g}" for value in row) for name, row in zip(names, matrix, strict=True)
        ]
    return "\n".join([*lines, *record["files"]])


def _pairs(found: Any, options: Options) -> list[dict[str, Any]]:
    pairs: dict[tuple[int, int], dict[str, Any]] = {}
    for each in found:
        low, high = each.interval
        row = {"mean": each.mean, "std": each.std, "low": low, "high": high, "values": list(each.values)}
        pairs.setdefault((each.first, each.second), {})[each.score] = row
    return [{"x": str(options.files[i]), "y": str(options.files[j]), "scores": row} for (i, j), row in pairs.items()]


def _means(found: Any, score: str, num: int) -> list[list[float]]:
    diagonal = 1.0 if score.startswith("nts") else 0.0
    matrix = [[diagonal] * num for _ in range(num)]
    for each in found:
        if each.score == score:
            matrix[each.first][each.second] = matrix[each.second][each.first] = each.mean
    return matrix


def _plot_barcode(clouds: Any, options: Options) -> None:
    import torch

    from ganspace_topdis.topology.plot import plot_bars

    assert options.plot is not None, "checked by the caller"
    rows = torch.randperm(len(clouds[0]), generator=torch.Generator().manual_seed(options.seed))[: options.batch]
    names = (options.files[0].stem, options.files[1].stem)
    plot_bars(clouds[0][rows], clouds[1][rows], options.plot, names=names)


def _score_line(name: str, row: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    num = len(row["values"])
    spread = f" ± {row['std']:.2g}" if num > 1 else ""
    return f"{_title(name)} {row['mean']:.6g}{spread} ({_counted(num, record)})"


def _counted(num_subsets: int, record: Mapping[str, Any]) -> str:
    """How many subsets were compared; where one holds all points, further ones would be the same."""
    num_points = record["num_points"]
    if num_points == record["num_rows"]:
        return f"all {num_points} points"
    return f"{num_subsets} subset{'s' * (num_subsets > 1)} of {num_points} points"


def _title(score: str) -> str:
    return score.upper().replace("LITE", "Lite")


COMMAND = Command(
    options=Options,
    run=run,
    to_text=to_text,
    help="Print the RTD of two clouds in .npy files, whose rows correspond, or compare every pair of several.",
    examples=(
        "topdis-gan rtd x.npy y.npy",
        "topdis-gan rtd x.npy y.npy --trials 20 --plot bars.png",
        "topdis-gan rtd a.npy b.npy c.npy --scores rtd,srtd,nts-e --plot matrix.png",
    ),
)
