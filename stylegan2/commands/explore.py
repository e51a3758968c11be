"""`topdis-gan explore`: the page of a run, live: any seed, any mix of directions, truncation, layers.

The run is only looked at; what it keeps of an exploration is names and stars, in names.json. So it may be explored
while another process works in the same folder, or explores it too.
"""

import threading
import time
import webbrowser
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ganspace_topdis.runs.allocator import reuse_freed_memory
from ganspace_topdis.runs.signals import Interrupt
from ganspace_topdis.traversal.live.names_store import NamesStore
from ganspace_topdis.traversal.live.server import LiveServer, PageSettings
from ganspace_topdis.traversal.live.studio import LiveModel, Studio
from stylegan2.commands.found import Found, open_found
from stylegan2.commands.pictures import PictureOptions, labels_of, page_text, source_of
from stylegan2.commands.ranges import NAMED_LAYERS
from stylegan2.ops.weight_cache import frozen_weights

__all__ = ["explore", "open_server"]

_MOST_CODES = 4096


def explore(
    run: Path,
    *,
    pictures: PictureOptions,
    port: int = 0,
    browser: bool = True,
    ckpt: str | None = None,
    layers: str | None = None,
    label: int | None = None,
    device: str = "auto",
    tell: Callable[[str], object] = print,
) -> None:
    """Serve the live page of `run`, a run folder or a directions file, until Ctrl-C or SIGTERM.

    Args:
        run: where the directions are.
        pictures: seeds, extent and truncation to start with.
        port: on 127.0.0.1; 0 for any free one.
        browser: whether the page is opened in the user's browser.
        ckpt: the checkpoint; by default the one that the run names.
        layers: layers that move at first, as typed; by default those that the directions were found in.
        label: the class of a conditional generator; by default the run's.
        device: where to draw.
        tell: is given the page's address once the server answers.

    Raises:
        CheckpointError: directions or checkpoint cannot be used, or do not belong together.
        InvalidArgumentError: the port, a layer or a class cannot be used.
        StopRequestedError: Ctrl-C or SIGTERM.
    """
    reuse_freed_memory()
    found = open_found(run, ckpt=ckpt, layers=layers, label=label, device=device)
    serving = open_server(found, pictures, port=port)
    with frozen_weights(), serving as server, Interrupt(notify=lambda _: None) as interrupt:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        tell(server.url)
        if browser:
            webbrowser.open(server.url)
        while not interrupt.requested:
            time.sleep(0.1)
        server.shutdown()
        interrupt.stop("the page no longer answers")


def open_server(found: Found, pictures: PictureOptions, *, port: int = 0) -> LiveServer:
    """The server of the live page of `found`, which answers once `serve_forever` runs.

    Raises:
        InvalidArgumentError: the port cannot be used.
    """
    directions = found.directions
    text = page_text(directions, pictures)
    names = NamesStore(found.folder, num_directions=directions.num_directions, source=source_of(directions))
    names.read()  # a file that cannot be used is reported before the page opens
    settings = PageSettings(
        labels=labels_of(directions),
        seeds=pictures.seeds,
        title=text.title,
        subtitle="live",
        source=text.source,
        extent=pictures.extent,
        truncation_psi=pictures.truncation_psi,
    )
    return LiveServer(Studio(_model_of(found)), names, settings, port=port)


def _model_of(found: Found) -> LiveModel:
    space = found.space
    generator, has_layers = space.generator, space.name == "w"
    all_layers = range(generator.num_ws)
    ranges = [(name, tuple(all_layers[slice(*ends)])) for name, ends in NAMED_LAYERS.items()]

    @lru_cache(maxsize=_MOST_CODES)
    def code_of_seed(seed: int, psi: float) -> Tensor:
        return space.truncated(psi, space.truncation_cutoff).codes_of_seeds([seed])

    def generate(codes: Tensor, psi: float) -> Tensor:
        with torch.no_grad():
            return space.truncated(psi, space.truncation_cutoff).images(codes)

    return LiveModel(
        generate=generate,
        directions=found.directions,
        code_of_seed=code_of_seed,
        image_px=generator.config.image_size,
        num_channels=generator.img_channels,
        num_layers=generator.num_ws if has_layers else None,
        layers=space.moving_layers,
        layer_ranges=[("all", tuple(all_layers)), *((name, layers) for name, layers in ranges if layers)],
    )
