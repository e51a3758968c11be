"""The gallery of the documentation: ten tasks, each with its command and the picture that the command makes.

    python benchmarks/docs_gallery.py                       # writes docs/gallery.md and docs/images/gallery
    python benchmarks/docs_gallery.py --run runs/scenes     # the same, with a finished default run instead of a new one

Every command runs as the page prints it, one after the other, in an empty folder; `tests/test_docs.py` runs them again,
with fewer steps. Pictures are reduced to 900 px and stored as WebP. The two pages need Chromium.
"""

import argparse
import contextlib
import os
import shlex
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.docs_pictures import command, dress, live  # noqa: E402
from tests.traversal.chromium import Browser, find_browser  # noqa: E402

PAGE, PICTURES = ROOT / "docs/gallery.md", ROOT / "docs/images/gallery"
MAX_WIDTH_PX, MAX_BYTES = 900, 1_400_000
WINDOW_PX = 1264, 860


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a user wants, and how.

    Attributes:
        want: the heading.
        commands: as they are typed.
        picture: the file that shows the result; a pattern below the working directory, or a page for a screenshot.
        text: what the picture shows, and where to read on.
    """

    want: str
    commands: tuple[str, ...]
    picture: str
    text: str


TASKS = (
    Task(
        want="Find directions in a generator",
        commands=("topdis-gan discover --out runs/scenes",),
        picture="runs/scenes/traversals/overview.png",
        text="One row per direction, without any label. `--ckpt ffhq.pkl` takes a checkpoint of your own instead of "
        "the packaged one: [Finding directions](discovery.md).",
    ),
    Task(
        want="Draw one direction from several seeds",
        commands=("topdis-gan traverse --directions runs/scenes --direction 1 --seeds 0-3",),
        picture="runs/scenes/traversals/direction_01_seeds_0-3.png",
        text="A good direction does the same from every seed: [Pictures](traversals.md).",
    ),
    Task(
        want="Animate a direction",
        commands=("topdis-gan traverse --directions runs/scenes --direction 2 --seeds 0-2 --frames 25 --format webp",),
        picture="runs/scenes/traversals/direction_02_seeds_0-2_frames_25.webp",
        text="There and back again; `--format gif` for programs without WebP.",
    ),
    Task(
        want="Mix directions on a page that can be mailed",
        commands=("topdis-gan traverse --directions runs/scenes --seeds 0-3 --mix 3 --format html",),
        picture="runs/scenes/traversals/explorer_seeds_0-3_mix_3.html",
        text="One file, no server and no network; it saves images, names, links and commands: "
        "[The explorer page](traversals.md#the-explorer-page).",
    ),
    Task(
        want="Try any seed, mix, truncation and layers",
        commands=("topdis-gan explore runs/scenes",),
        picture="explore",
        text="Every image is drawn when it is asked for: [The live page](explore.md).",
    ),
    Task(
        want="Edit images",
        commands=("topdis-gan edit --directions runs/scenes --seeds 2,4 --set 0=+1.5,1=-1.5",),
        picture="runs/scenes/edits/*/before_after.png",
        text="Before and after. `--latents photo.npz` instead of `--seeds` edits a photo that was inverted: "
        "[Editing](edit.md).",
    ),
    Task(
        want="Edit a file of codes, and only some layers",
        commands=(
            "topdis-gan edit --directions runs/scenes --seeds 2,4 --set 0=+1.5 --out one",
            "topdis-gan edit --directions runs/scenes --latents one/edited.npy --set 3=+1.5 --layers 4-7 --out two",
        ),
        picture="two/before_after.png",
        text="The first edit writes codes; the second starts from them and moves layers 4 to 7: the wall alone.",
    ),
    Task(
        want="Compare two methods",
        commands=(
            "topdis-gan discover --method sefa --out runs/sefa",
            "topdis-gan compare runs/scenes runs/sefa --seeds 4 --out comparison",
        ),
        picture="comparison/direction_00.png",
        text="Direction 0 and the one of SeFa that changes the images most alike: [Comparing runs](compare.md).",
    ),
    Task(
        want="Take directions to another program",
        commands=(
            "topdis-gan export runs/scenes --to npy --out exported",
            "topdis-gan traverse --directions runs/scenes --direction 3 --seeds 1-3 --extent 2 --frames 5",
        ),
        picture="runs/scenes/traversals/direction_03_seeds_1-3_extent_2_frames_5.png",
        text="`exported/direction_03.npy` is the displacement by one unit: adding twice that array to a "
        "code of w gives the right column. [Export](edit.md#export).",
    ),
    Task(
        want="See what a data set varies",
        commands=("topdis-gan data sheet scenes --out sheet.png --columns 8",),
        picture="sheet.png",
        text="One row per factor. These are the factors against which directions of the packaged generator are scored: "
        "[Data sets](datasets.md).",
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a finished run of the first command, which is copied")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--pictures", type=Path, default=PICTURES)
    options = parser.parse_args()
    run = None if options.run is None else options.run.resolve()
    page, pictures = options.page.resolve(), options.pictures.resolve()
    program = find_browser()
    if program is None:
        sys.exit("no Chromium or Chrome is installed")
    pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Browser(program, Path(folder) / "c")) as browser:
        browser.send("Emulation.setScrollbarsHidden", hidden=True)
        os.chdir(folder)
        if run is not None:
            shutil.copytree(run, "runs/scenes")
        names = [make(task, number, pictures, browser) for number, task in enumerate(TASKS, 1)]
        os.chdir(ROOT)
    page.write_text(page_text([os.path.relpath(pictures / name, page.parent) for name in names]), encoding="utf-8")
    total = sum((pictures / name).stat().st_size for name in names)
    print(f"{page}\n{len(names)} pictures, {total / 1e6:.2f} MB")
    if total > MAX_BYTES:
        sys.exit(f"the pictures take more than {MAX_BYTES / 1e6:.1f} MB")


def make(task: Task, number: int, pictures: Path, browser: Browser) -> str:
    """Run the commands of a task and store its picture; return the name of the file."""
    for line in task.commands:
        words = shlex.split(line)[1:]
        is_done = words[0] == "discover" and Path(words[-1], "explorer.html").exists()
        if words[0] != "explore" and not is_done:
            command(*words)
    name = f"{number:02d}.webp"
    print(pictures / name, flush=True)
    if task.picture == "explore" or task.picture.endswith(".html"):
        with address_of(task.picture) as address:
            screenshot(browser, address, Path("page.png"))
        store(Path("page.png"), pictures / name)
    else:
        (source,) = Path().glob(task.picture)
        store(source, pictures / name)
    return name


@contextlib.contextmanager
def address_of(picture: str) -> Iterator[str]:
    """The address of a page: of the live one, or of a file."""
    if picture == "explore":
        with live(Path("runs/scenes")) as address:
            yield address
    else:
        yield Path(picture).resolve().as_uri()


def screenshot(browser: Browser, address: str, path: Path) -> None:
    """Move two directions on a page, and write what the window shows."""
    browser.open(address, *WINDOW_PX)
    dress(browser, [(0, "Floor color"), (2, "Object color")], (1.5, -1.5))
    browser.screenshot(path)
    browser.open("about:blank")


def store(source: Path, target: Path) -> None:
    """Write a picture as WebP, reduced if it is wide; an animation as it is."""
    if source.suffix == ".webp":
        shutil.copyfile(source, target)
        return
    with Image.open(source) as picture:
        scale = min(1.0, MAX_WIDTH_PX / picture.width)
        size = round(picture.width * scale), round(picture.height * scale)
        small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        small.save(target, format="WEBP", quality=82, method=6)


def page_text(addresses: list[str]) -> str:
    """The page, as Markdown."""
    parts = [
        "# Gallery\n\nTen tasks, each with its command and what comes out. The commands run as they are, one after the "
        "other, on the generator\nthat comes with the package; `python benchmarks/docs_gallery.py` made this page."
    ]
    for number, (task, address) in enumerate(zip(TASKS, addresses, strict=True), 1):
        typed = "\n".join(f"    {line}" for line in task.commands)
        text = textwrap.fill(task.text, 120, break_long_words=False, break_on_hyphens=False)
        parts.append(f"## {number}. {task.want}\n\n{typed}\n\n![{task.want}]({address})\n\n{text}")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
