"""What a user does on both pages of a run, 60 actions each: after each one, the image must be the one of `edit`.

    topdis-gan discover --out runs/scenes
    python benchmarks/page_actions.py runs/scenes         # prints a line per page, exits with 1 if an image is wrong
    python benchmarks/page_actions.py runs/scenes --seed 3 --actions 200

The run is copied. A random number generator chooses the actions: mixing, exact values, keys, undo and redo, seeds,
names and stars, saving and opening files, links, the original, layers and truncation on the live page, windows of 1400
and 400 px. The page's own claim of what it shows is the command that it copies. That command is run, and the pixels are
compared. They may differ by one of 255 levels, because the page of files was drawn in batches, whose sums are rounded
otherwise than those of one image. Images may have 128 px at most; larger ones are compressed. Beyond that, undo and
redo must return to the earlier claim, and actions that change no image must change no pixel.
"""

import argparse
import base64
import contextlib
import functools
import io
import random
import shlex
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ganspace_topdis import program  # noqa: E402
from stylegan2.commands.explore import open_server  # noqa: E402
from stylegan2.loading import load_run  # noqa: E402
from stylegan2.settings import PictureSettings  # noqa: E402
from tests.traversal.chromium import Browser, find_browser  # noqa: E402

PIXELS = """
(() => {
  const view = document.getElementById("view");
  const copy = new OffscreenCanvas(view.width, view.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(view, 0, 0);
  const bytes = copy.getImageData(0, 0, view.width, view.height).data;
  return [view.height, view.width, btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))];
})()
"""
SHOWN = "document.querySelector('.direction') && !document.getElementById('view').classList.contains('pending')"
_ROUNDING = 1
NOTICE = "document.getElementById('notice').textContent"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder of topdis-gan discover, images of at most 128 px")
    parser.add_argument("--actions", type=int, default=60, help="per page")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    program = find_browser()
    if program is None:
        sys.exit("no Chromium or Chrome is installed")
    num_wrong = 0
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Browser(program, Path(folder) / "c")) as browser:
        run = shutil.copytree(options.run, Path(folder) / options.run.name)
        with pages(run) as addresses:
            for name, address in addresses.items():
                visit = Visit(browser, address, run, Path(folder) / f"saved {name}", random.Random(options.seed))
                start_s = time.monotonic()
                wrong = visit.act(options.actions)
                print("\n".join([f"  {line}" for line in wrong]), end="\n" if wrong else "")
                kinds = len(set(visit.done))
                print(
                    f"{name}: {len(visit.done)} actions of {kinds} kinds, {visit.num_compared} images compared, "
                    f"{len(wrong)} wrong, {time.monotonic() - start_s:.0f} s",
                    flush=True,
                )
                num_wrong += len(wrong)
            browser.open("about:blank")
    sys.exit(num_wrong > 0)


@contextlib.contextmanager
def pages(run: Path) -> Iterator[dict[str, str]]:
    """The addresses of the page of files and of the live page of `run`."""
    command = f"topdis-gan edit --directions {shlex.quote(str(run))}"
    with open_server(load_run(run), PictureSettings(), command=command) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"explorer.html": (run / "explorer.html").resolve().as_uri(), "live page": server.url}
        server.shutdown()


@functools.cache
def edited(command: str, run: Path) -> np.ndarray:
    """The image (H, W, 3) that the command makes, with the run at `run` whatever path the command names."""
    words = shlex.split(command)[1:]
    words[words.index("--directions") + 1] = str(run)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        program.cli.main(args=[*words, "--out", folder], prog_name="topdis-gan", standalone_mode=False)
        return np.asarray(Image.open(Path(folder) / "edited_00.png").convert("RGB"))


@dataclass
class Visit:
    """A browser on one page, and what was done there.

    Attributes:
        browser: the browser.
        address: of the page.
        run: the run folder.
        folder: where the page saves files.
        rng: chooses the actions.
        done: the names of the actions so far.
        num_compared: how often an image was compared with that of `edit`.
    """

    browser: Browser
    address: str
    run: Path
    folder: Path
    rng: random.Random
    done: list[str] = field(default_factory=list)
    num_compared: int = 0

    def act(self, num_actions: int) -> list[str]:
        """Open the page and act; return a line for each wrong image."""
        self.folder.mkdir()
        self.open(self.address)
        self.browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.folder))
        kinds = [each for kind, often in KINDS.items() for each in [kind] * often]
        kinds = [kind for kind in kinds if self.is_live or kind not in (truncation, layers, any_seed)]
        wrong = []
        for number in range(num_actions):
            kind = self.rng.choice(kinds)
            self.done.append(kind.__name__)
            fault = kind(self) or self.compare()
            if fault:
                wrong.append(f"action {number + 1}, {kind.__name__}: {fault}")
        return [*wrong, *(f"the browser complains: {text}" for text in self.browser.complaints())]

    @property
    def is_live(self) -> bool:
        """Whether the page has settings of the generator."""
        return self.address.startswith("http")

    def open(self, address: str) -> None:
        """Open an address and wait for its image."""
        self.browser.open(address, 1400, 900)
        self.browser.wait_for(SHOWN)

    def compare(self) -> str:
        """What is wrong with the image on the page; nothing if it is the one that `edit` makes."""
        self.num_compared += 1
        command = self.command()
        expected, shown = edited(command, self.run), self.pixels()
        if shown.shape != expected.shape:
            return f"{shown.shape} instead of {expected.shape}"
        difference = int(np.abs(shown.astype(int) - expected).max())
        return f"differs by up to {difference} levels from: {command}" if difference > _ROUNDING else ""

    def pixels(self) -> np.ndarray:
        """The image on the page (H, W, 3), once it is drawn."""
        self.browser.wait_for(SHOWN)
        height, width, data = self.browser.run(PIXELS)
        return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3]

    def command(self) -> str:
        """The command that the page copies for its image; an unshifted one has none, so it is made up here."""
        if not self.browser.run("document.getElementById('copy-command').disabled"):
            text = self.copied("#copy-command", "--set")
            return text.partition(" (run it in")[0]
        seed = self.copied("#copy-link", "#").partition("seed=")[2].partition("&")[0]
        psi = self.browser.run("document.getElementById('truncation').value") if self.is_live else "0.7"
        return f"topdis-gan edit --directions RUN --seeds {seed} --truncation-psi {psi} --set 0=0"

    def copied(self, button: str, part: str) -> str:
        """What a button copies: a text with `part` in it."""
        self.browser.run(f"{NOTICE.replace('.textContent', '.firstElementChild.textContent')} = ''")
        self.browser.click(button)
        self.browser.wait_for(f"/: /.test({NOTICE}) && {NOTICE}.includes({part!r})")
        return str(self.browser.run(NOTICE)).split(": ", 1)[1]

    def saved(self, button: str) -> Path:
        """The file that a button saves."""
        before = set(self.folder.glob("*"))
        self.browser.click(button)
        while True:
            new = {path for path in set(self.folder.glob("*")) - before if path.suffix != ".crdownload"}
            if new:
                return new.pop()
            self.browser.run("new Promise((done) => setTimeout(done, 20))")

    def row(self) -> int:
        """The place of some direction on the page, from 1."""
        return self.rng.randint(1, self.browser.run("document.querySelectorAll('.direction').length"))


def slider(visit: Visit) -> None:
    """Click somewhere on a slider."""
    visit.browser.click(f".direction:nth-child({visit.row()}) input[type=range]", across=visit.rng.uniform(0.02, 0.98))


def exact_value(visit: Visit) -> None:
    """Type a shift."""
    value, row = round(visit.rng.uniform(-3, 3), 2), visit.row()
    visit.browser.click(f".direction:nth-child({row}) .value")
    visit.browser.run("document.activeElement.select()")
    for key in str(value):
        visit.browser.press(key)
    visit.browser.press("Enter")


def arrow_keys(visit: Visit) -> None:
    """Shift by keys."""
    for _ in range(visit.rng.randint(1, 4)):
        visit.browser.press(visit.rng.choice(["ArrowLeft", "ArrowRight", "Home", "End", "Delete"]))


def film_frame(visit: Visit) -> None:
    """Click a frame of the traversal."""
    places = visit.browser.run(
        "[...document.querySelectorAll('#film button')].flatMap((each, place) => (each.disabled ? [] : [place + 1]))"
    )
    visit.browser.click(f"#film button:nth-child({visit.rng.choice(places)})")


def select(visit: Visit) -> str:
    """Select a direction, which changes no pixel."""
    before = visit.pixels()
    visit.browser.click(f".direction:nth-child({visit.row()}) .number")
    return "" if np.array_equal(before, visit.pixels()) else "selecting a direction changed the image"


def seed(visit: Visit) -> None:
    """Choose a seed that the page offers."""
    count = visit.browser.run("document.querySelectorAll('#seeds label').length")
    visit.browser.click(f"#seeds label:nth-of-type({visit.rng.randint(1, count)}) canvas")


def any_seed(visit: Visit) -> None:
    """Type a seed, or take a random one."""
    if visit.rng.random() < 0.5:
        visit.browser.click("#seed-random")
        return
    visit.browser.click("#seed-number")
    visit.browser.run("document.activeElement.select()")
    for key in str(visit.rng.randint(0, 99_999)):
        visit.browser.press(key)
    visit.browser.press("Tab")
    visit.browser.click("h1")


def truncation(visit: Visit) -> None:
    """Click somewhere on the truncation."""
    visit.browser.click("#truncation", across=visit.rng.uniform(0.05, 0.95))


def layers(visit: Visit) -> None:
    """Choose named layers, or switch one."""
    where = visit.rng.choice(["#layers", "#layer-ranges"])
    count = visit.browser.run(f"document.querySelectorAll('{where} button').length")
    if count:
        visit.browser.click(f"{where} button:nth-child({visit.rng.randint(1, count)})")
    if visit.browser.run("document.querySelectorAll('#layers [aria-pressed=true]').length") == 0:
        visit.browser.click("#layer-ranges button")  # edit refuses an empty list of layers


def undo_and_redo(visit: Visit) -> str:
    """Undo a change, whose claim must return with redo."""
    if visit.browser.run("document.getElementById('undo').disabled"):
        return ""
    claimed = visit.copied("#copy-link", "#")
    visit.browser.click("#undo")
    fault = visit.compare()
    visit.browser.click("#redo")
    returned = visit.copied("#copy-link", "#")
    return fault or ("" if returned == claimed else f"redo returned to {returned} instead of {claimed}")


def undo(visit: Visit) -> None:
    """Undo a change."""
    visit.browser.click("#undo")


def reset(visit: Visit) -> None:
    """Take back all shifts."""
    visit.browser.press("r")


def rename(visit: Visit) -> str:
    """Rename and star a direction, which changes no pixel."""
    before, row = visit.pixels(), visit.row()
    visit.browser.click(f".direction:nth-child({row}) .name")
    visit.browser.run("document.activeElement.select()")
    for key in f"Name {visit.rng.randint(0, 999)}":
        visit.browser.press(key)
    visit.browser.press("Enter")
    visit.browser.click(f".direction:nth-child({row}) .star")
    return "" if np.array_equal(before, visit.pixels()) else "a new name changed the image"


def save_and_load_names(visit: Visit) -> str:
    """Save the names, rename a direction, and load the saved ones."""
    names = "[...document.querySelectorAll('.name')].map((each) => each.value)"
    before, path = visit.browser.run(names), visit.saved("#save-names")
    rename(visit)
    root = visit.browser.send("DOM.getDocument")["root"]["nodeId"]
    node = visit.browser.send("DOM.querySelector", nodeId=root, selector="#names-file")["nodeId"]
    visit.browser.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])
    visit.browser.wait_for(f"{NOTICE}.startsWith('Names of')")
    path.unlink()
    return "" if visit.browser.run(names) == before else "the names were not those that were saved"


def save_image(visit: Visit) -> str:
    """Save the image, whose pixels must be those of the page."""
    shown, path = visit.pixels(), visit.saved("#save-image")
    is_same = np.array_equal(np.asarray(Image.open(path).convert("RGB")), shown)
    path.unlink()
    return "" if is_same else f"{path.name} differs from the page"


def save_strip(visit: Visit) -> str:
    """Save the traversal of the selected direction."""
    path = visit.saved("#save-strip")
    width, height = Image.open(path).size
    path.unlink()
    return "" if width > height else f"{path.name} is no strip"


def follow_link(visit: Visit) -> str:
    """Open the link of the state, which must show the same image."""
    before = visit.pixels()
    visit.open(visit.copied("#copy-link", "#"))
    return "" if np.array_equal(before, visit.pixels()) else "the link shows another image"


def hold_original(visit: Visit) -> str:
    """Hold the key for the original, and release it."""
    before = visit.pixels()
    visit.browser.send("Input.dispatchKeyEvent", type="keyDown", key="o", text="o")
    fault = visit.compare()
    visit.browser.send("Input.dispatchKeyEvent", type="keyUp", key="o")
    return fault or ("" if np.array_equal(before, visit.pixels()) else "the image did not return")


def phone(visit: Visit) -> None:
    """Turn a desk into a phone, or back."""
    visit.browser.resize(*visit.rng.choice([(1400, 900), (400, 800)]))


KINDS: dict[Callable[[Visit], Any], int] = {
    **dict.fromkeys((slider, exact_value, arrow_keys), 4),
    **dict.fromkeys((film_frame, seed, undo, undo_and_redo, any_seed, truncation, layers), 2),
    **dict.fromkeys((select, reset, rename, save_and_load_names, save_image, save_strip), 1),
    **dict.fromkeys((follow_link, hold_original, phone), 1),
}
"""What a user does, and how often."""


if __name__ == "__main__":
    main()
