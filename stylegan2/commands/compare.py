"""`topdis-gan compare`: runs of several methods or seeds on one checkpoint, side by side.

scores of all runs -> match their directions to the first run's -> draw matched walks, row by row -> page
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganspace_topdis.options import Command, Settings, nested, option
from stylegan2.picture_settings import PictureSettings, parse_numbers
from stylegan2.run_settings import RunSettings

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
        None, help="Folder for page and pictures.", group="Main", default_text="comparison beside the first run"
    )
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
        RunFolderError: a file cannot be written.
    """
    from ganspace_topdis.runs.files import make_folder, write_json, write_text
    from ganspace_topdis.runs.progress import ProgressReporter
    from stylegan2.comparison import changes_of, draw_sheet, load_sides, match, table_row, walks_of
    from stylegan2.comparison_page import comparison_page

    pictures = options.pictures
    sides = load_sides(options.runs, options.loading.ckpt, options.loading.device)

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
    folder = make_folder(options.out or options.runs[0].resolve().parent / "comparison")
    sheets = [
        draw_sheet(folder / f"direction_{index:02d}.png", index, sides, pairings, frames, pictures)
        for index in range(sides[0].directions.num_directions)
    ]
    table = [table_row(side, pairing) for side, pairing in zip(sides, pairings, strict=True)]
    written = [
        write_json(folder / "comparison.json", {"runs": table}),
        write_text(folder / "comparison.html", comparison_page(table, [path.read_bytes() for path in sheets])),
    ]
    return {"runs": table, "files": [str(path) for path in [*written, *sheets]]}


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """The table of means, then the files."""
    names = list(dict.fromkeys(name for row in record["runs"] for name in row["means"]))
    lines = [f"{'run':>24}  " + "  ".join(f"{name.replace('_', ' '):>10}" for name in (*names, "matched"))]
    for place, row in enumerate(record["runs"]):
        cells = [*(row["means"].get(name) for name in names), row["images"]["mean"] if place else None]
        lines.append(
            f"{row['run']:>24}  " + "  ".join(f"{'' if cell is None else f'{cell:.4g}':>10}" for cell in cells)
        )
    return "\n".join([*lines, *record["files"]])


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
