"""Time from a slider's move to its image on the live page, in a headless browser.

    python benchmarks/live_page.py                 # the packaged generator, 32 px, and random ones of 64 px
    python benchmarks/live_page.py --moves 100

Timed in the page: from the slider's event to the first animation frame after the image is on its canvas, including
the request, the queue, the synthesis, the encoding, the response and the decoding. A move comes 50 ms after the last
image, while the small images under it are drawn too, at lower priority. "Drag" moves the slider
every 10 ms for one second: how often the image changed, and how long after the last move it was the last one.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.devices import tune_malloc
from stylegan2 import Generator, load
from stylegan2.commands.explore import open_server
from stylegan2.loading import LoadedRun
from stylegan2.ops.weight_cache import frozen_weights
from stylegan2.settings import PictureSettings
from stylegan2.space import LatentSpace
from tests.traversal.chromium import Browser, find_browser

MOVES = """
(async () => {
  const view = document.getElementById("view"), times = [];
  const sliders = [...document.querySelectorAll(".direction input[type=range]")];
  for (let move = 0; move < MOVES; move++) {
    const slider = sliders[move % sliders.length], before = view.dataset.shown, start = performance.now();
    slider.value = -3 + 6 * ((move * 7) % 40 + 0.5) / 40;
    slider.dispatchEvent(new Event("input"));
    while (view.dataset.shown === before) await new Promise((done) => setTimeout(done, 1));
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - start);
    await new Promise((done) => setTimeout(done, 50));
  }
  return times;
})()
"""
DRAG = """
(async () => {
  const view = document.getElementById("view"), slider = document.querySelector(".direction input[type=range]");
  let shown = view.dataset.shown, changes = 0;
  const watch = setInterval(() => {
    changes += view.dataset.shown !== shown;
    shown = view.dataset.shown;
  }, 2);
  for (let step = 0; step < 100; step++) {
    slider.value = -3 + 0.05 * step;
    slider.dispatchEvent(new Event("input"));
    await new Promise((done) => setTimeout(done, 10));
  }
  const end = performance.now();
  while (view.dataset.shown !== view.wanted) await new Promise((done) => setTimeout(done, 1));
  clearInterval(watch);
  return [changes, performance.now() - end];
})()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=60)
    moves = parser.parse_args().moves
    program = find_browser()
    if program is None:
        sys.exit("no Chromium or Chrome is installed")
    tune_malloc()
    print(f"{torch.get_num_threads()} threads, {moves} moves; milliseconds from a move to its image")
    print("| generator | parameters | median | 95% | worst | drag: images a second | last image after |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(program, Path(profile))
        try:
            for name, generator in generators().items():
                print(row(name, generator, browser, moves), flush=True)
        finally:
            browser.close()


def generators() -> dict[str, Generator]:
    torch.manual_seed(0)
    lean = Generator(img_resolution=64, z_dim=256, w_dim=256, channel_base=8192, channel_max=256)
    full = Generator(img_resolution=64)
    return {
        "packaged, 32 px": load("scenes"),
        "random, 64 px, 256 channels": lean.eval().requires_grad_(False),
        "random, 64 px, 512 channels (config-f)": full.eval().requires_grad_(False),
    }


def row(name: str, generator: Generator, browser: Browser, moves: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        space = LatentSpace(generator=generator)
        found = LoadedRun(folder=Path(folder), directions=random_directions(generator), space=space)
        with frozen_weights(), open_server(found, PictureSettings()) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            browser.open(server.url)
            browser.wait_for("document.getElementById('view').dataset.shown")
            browser.run("new Promise((done) => setTimeout(done, 3000))")
            times = sorted(browser.run(MOVES.replace("MOVES", json.dumps(moves))))
            browser.run("new Promise((done) => setTimeout(done, 3000))")
            changes, after_ms = browser.run(DRAG)
            server.shutdown()
    size = sum(parameter.numel() for parameter in generator.parameters()) / 1e6
    high = times[int(0.95 * len(times))]
    return (
        f"| {name} | {size:.1f} M | {statistics.median(times):.0f} | {high:.0f} | {times[-1]:.0f} | {changes} "
        f"| {after_ms:.0f} |"
    )


def random_directions(generator: Generator, count: int = 6) -> Directions:
    codes = generator.mapping(torch.randn(500, generator.z_dim))[:, 0]
    scale = float(codes.std())
    axes, _ = torch.linalg.qr(torch.randn(generator.w_dim, count))
    axes = axes.T.contiguous()
    return Directions(
        vectors=axes * scale,
        dual_vectors=axes / scale,
        mean=codes.mean(0),
        span=axes,
        scales=torch.full((count,), scale),
    )


if __name__ == "__main__":
    main()
