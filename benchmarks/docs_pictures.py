"""Every picture of the documentation that shows a run: grids, edits, comparison, and the two pages in a browser.

    topdis-gan discover --out runs/scenes-64
    python benchmarks/docs_pictures.py runs/scenes-64                                # writes into docs/images
    python benchmarks/docs_pictures.py runs/scenes-64 --name 1=View --name 4=Size --vae runs/vae --out pictures

The run, of the packaged generator, is copied, so it does not get names and edits. Runs of two other methods are made
for the comparison, and the example of a hand-built generator is run; the example of a VAE's decoder needs a run of
`train-vae`. The pages need Chromium. The named directions are moved there, the last one is starred; without names, 1
and 4 are moved.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ganspace_topdis import program  # noqa: E402
from stylegan2.commands.explore import open_server  # noqa: E402
from stylegan2.loading import load_run  # noqa: E402
from stylegan2.settings import PictureSettings  # noqa: E402
from tests.traversal.chromium import Browser, find_browser  # noqa: E402

SHOWN = "document.querySelector('.direction')"
SETTLED_MS = 5000
DRESS = """
(() => {
  const rows = [...document.querySelectorAll(".direction")];
  for (const [place, name, starred, amount] of MOVES) {
    if (!rows[place]) continue;
    const field = rows[place].querySelector(".name"), slider = rows[place].querySelector("input[type=range]");
    if (name) { field.value = name; field.dispatchEvent(new Event("change")); }
    const star = rows[place].querySelector(".star");
    if (starred && star.getAttribute("aria-pressed") !== "true") star.click();
    slider.value = amount;
    slider.dispatchEvent(new Event("input"));
  }
})()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder of topdis-gan discover")
    parser.add_argument("--name", action="append", default=[], metavar="INDEX=NAME", help="two directions of it")
    parser.add_argument("--vae", type=Path, help="a run folder of topdis-gan train-vae")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    names = [(int(index), name) for index, _, name in (given.partition("=") for given in options.name)]
    with tempfile.TemporaryDirectory() as folder:
        run = shutil.copytree(options.run, Path(folder) / options.run.name)
        keep(run / "traversals/overview.png", options.out / "overview.png")
        edit(run, options.out)
        compare(run, options.out)
        pages(run, names or [(1, ""), (4, "")], options.out)
        example("hand_built", [], options.out)
        if options.vae is not None:
            example("vae", [str(options.vae.resolve())], options.out)


def keep(source: Path, target: Path) -> None:
    """Copy a picture and print its path."""
    shutil.copyfile(source, target)
    print(target, flush=True)


def command(*arguments: object) -> None:
    """Run `topdis-gan` with those arguments."""
    try:
        program.main(tuple(map(str, arguments)))
    except SystemExit as end:
        if end.code:
            raise


def edit(run: Path, out: Path) -> None:
    command("edit", "--directions", run, "--seeds", "4,2", "--set", "0=+1.5,1=-1.5", "--out", run / "edit")
    keep(run / "edit/before_after.png", out / "edit.png")


def compare(run: Path, out: Path) -> None:
    others = [run.parent / method for method in ("sefa", "ganspace")]
    for other in others:
        command("discover", "--method", other.name, "--out", other)
    command("compare", run, *others, "--seeds", "4", "--out", run / "comparison")
    keep(run / "comparison/direction_00.png", out / "comparison.png")


def pages(run: Path, names: list[tuple[int, str]], out: Path) -> None:
    """The page of files, then the live one."""
    program = find_browser()
    if program is None:
        print("no Chromium: explorer.png and explore.png were not made", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as profile, contextlib.closing(Browser(program, Path(profile))) as browser:
        browser.send("Emulation.setScrollbarsHidden", hidden=True)
        browser.open(run / "explorer.html", 1264, 800)
        dress(browser, names, (1.5, 3.0))
        browser.screenshot(out / "explorer.png")
        print(out / "explorer.png", flush=True)
        with live(run) as address:
            browser.open(address, 1264, 950)
            dress(browser, names, (0.75, 0.5))
            browser.screenshot(out / "explore.png")
            browser.open("about:blank")
        print(out / "explore.png", flush=True)


@contextlib.contextmanager
def live(run: Path) -> Iterator[str]:
    """The address of the live page of `run`."""
    with open_server(load_run(run), PictureSettings()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.url
        server.shutdown()


def dress(browser: Browser, names: list[tuple[int, str]], amounts: tuple[float, float]) -> None:
    """Name and move directions on the page, the last named first, and wait until everything is drawn."""
    browser.wait_for(SHOWN)
    last = names[-1][0]
    moves = [[index, name, int(index == last), amounts[index != last]] for index, name in reversed(names)]
    browser.run(DRESS.replace("MOVES", str(moves)))
    browser.run(f"new Promise((done) => setTimeout(done, {SETTLED_MS}))")


def example(name: str, arguments: list[str], out: Path) -> None:
    """Run an example in its own folder and copy its picture."""
    script = {"hand_built": "hand_built_generator.py", "vae": "vae_decoder.py"}[name]
    picture = {"hand_built": "hand_built.png", "vae": "vae_directions.png"}[name]
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, str(ROOT / "examples" / script), *arguments]
        subprocess.run(program, check=True, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)})
        keep(Path(folder) / f"{name}.png", out / picture)


if __name__ == "__main__":
    main()
