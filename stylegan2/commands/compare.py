"""`topdis-gan compare`: runs of several methods or seeds on one checkpoint, side by side.

scores of all runs -> match their directions to the first run's -> draw matched walks, row by row -> page
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganspace_topdis.options import Command, Settings, nested, option
from ganspace_topdis.runs.outputs import OutputSettings, remove_earlier
from stylegan2.settings import (
    PictureSettings,
    RunSettings,
    parse_numbers,
    short_name,
)

__all__ = ["COMMAND", "Options", "run", "to_text"]


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What is compared, and the image that is drawn.

    Raises:
        InvalidArgumentError: more than one seed is given.
    """

    runs: tuple[Path, ...] = option(
        help="Run folders, or directions files; all are matched to the first.",
        argument=True,
        nargs=-1,
        metavar="RUN RUN...",
    )
    out: Path | None = option(
        None,
        help="Folder for page and pictures.",
        group="Main",
        default_text="comparison_RUNS_SEED beside the first run",
    )
    output: OutputSettings = nested(OutputSettings)
    pictures: PictureSettings = nested(PictureSettings, hide=("truncation_cutoff", "num_mixed", "seeds"))
    seeds: tuple[int, ...] = option(
        (0,), help="The image that is drawn, one seed.", group="Pictures", metavar="SEED", parse=parse_numbers
    )
    loading: RunSettings = nested(RunSettings, hide=("layers", "label"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.seeds) != 1:
            self.refuse("seeds", "one seed, as one image is drawn along matched directions")
        object.__setattr__(self, "pictures", dataclasses.replace(self.pictures, seeds=self.seeds))


def run(options: Options) -> dict[str, Any]:
    """Compare; return {"runs": one row per run, "files": the record, the page, and a sheet per direction}.

    Raises:
        CheckpointError: a run cannot be used, or is of another checkpoint.
        InvalidArgumentError: fewer than two runs, or one of them twice.
        RunFolderError: an earlier comparison is there and `force` is not set, or a file cannot be written.
    """
    from ganspace_topdis.runs.files import make_folder, write_json, write_text
    from ganspace_topdis.runs.progress import ProgressReporter
    from stylegan2.runs.comparison import (
        changes_of,
        comparison_page,
        draw_sheet,
        load_sides,
        match,
        table_row,
        walks_of,
    )

    pictures = options.pictures
    sides = load_sides(options.runs, options.loading.ckpt, options.loading.device)
    folder = options.out or options.runs[0].resolve().parent / _folder_name([side.name for side in sides], pictures)
    earlier = options.output.earlier(folder, "comparison.json", "comparison.html", "direction_[0-9]*.png")

    # Match directions by how they change images, and draw the walks.
    with ProgressReporter("compare") as progress:
        changes, frames = [], []
        for done, side in enumerate(sides):
            changes.append(changes_of(side, pictures))
            progress(done + 1, 2 * len(sides))
        pairings = [match(sides[0], side, changes[0], each) for side, each in zip(sides, changes, strict=True)]
        for done, side in enumerate(sides):
            frames.append(walks_of(side, pictures))
            progress(len(sides) + done + 1, 2 * len(sides))

    # Write the sheets, the table and the page.
    make_folder(folder)
    sheets = [
        draw_sheet(folder / f"direction_{index:02d}.png", index, sides, pairings, frames, pictures)
        for index in range(sides[0].directions.num_directions)
    ]
    table = [table_row(side, pairing) for side, pairing in zip(sides, pairings, strict=True)]
    written = [
        write_json(folder / "comparison.json", {"runs": table}),
        write_text(folder / "comparison.html", comparison_page(table, [path.read_bytes() for path in sheets])),
        *sheets,
    ]
    remove_earlier(earlier, written)
    return {"runs": table, "files": [str(path) for path in written]}


def _folder_name(runs: Sequence[str], pictures: PictureSettings) -> str:
    """The default folder: the runs, shortened where they are many or long, and the seed."""
    names = "_".join(re.sub(r"[^\w.-]+", "-", name) for name in runs)
    return f"comparison_{short_name(names)}_seed_{pictures.seeds[0]}"


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """The table of means, then the files."""
    from ganspace_topdis.report import table
    from stylegan2.runs.comparison import scores_table

    scores = dataclasses.replace(scores_table(record["runs"]), note="")
    return "\n".join([table.to_text(scores), *record["files"]])


COMMAND = Command(
    options=Options,
    run=run,
    to_text=to_text,
    help="Compare runs of several methods or seeds: scores, matching of directions, matched walks.",
    examples=(
        "topdis-gan compare runs/ffhq runs/ffhq-sefa",
        "topdis-gan compare runs/seed-0 runs/seed-1 --seeds 3 --out comparison",
    ),
)
