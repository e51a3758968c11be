"""`topdis-gan discover`: from a checkpoint to a run folder with directions, scores, pictures and a page.

load -> search (resumable) -> judge on held-out codes -> save -> draw
"""

import dataclasses
import time
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ganspace_topdis import __version__
from ganspace_topdis.discovery.api import conclude, judged
from ganspace_topdis.discovery.baselines import coordinate_axes, ganspace, sefa
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.devices import choose_device
from ganspace_topdis.runs.files import sha256_of, write_json
from ganspace_topdis.runs.folder import RunFolder
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.runs.signals import Interrupt
from stylegan2.commands.pictures import PictureOptions, draw_run
from stylegan2.commands.ranges import parse_layers
from stylegan2.generator import Generator
from stylegan2.loading import load, locate
from stylegan2.space import WSpace

__all__ = ["METHODS", "DiscoverOptions", "Method", "discover"]

Method = Literal["topdis", "random", "span-axes", "ganspace", "sefa", "axes"]
METHODS: tuple[Method, ...] = ("topdis", "random", "span-axes", "ganspace", "sefa", "axes")

_SAVE_INTERVAL_S = 20.0
_THIRD_BLOCK_PX = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscoverOptions:
    """What one discovery depends on.

    Attributes:
        ckpt: a file, an https address, or a name.
        method: "topdis" or one of the baselines of `discovery.baselines`.
        features: side of the block whose activations are compared, px; 0 takes images pooled to 64 px; None
            the third block.
        layers: layers that get the code, as they are typed ("0-3,6"); None for all.
        label: the class of a conditional generator.
        search: settings of the search.
        pictures: what is drawn.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
    """

    ckpt: str = "scenes"
    method: Method = "topdis"
    features: int | None = None
    layers: str | None = None
    label: int | None = None
    search: DiscoverySettings = dataclasses.field(default_factory=DiscoverySettings)
    pictures: PictureOptions = dataclasses.field(default_factory=PictureOptions)
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InvalidArgumentError(f"--method is {self.method!r}, allowed are {', '.join(METHODS)}")


def discover(options: DiscoverOptions, out: Path) -> tuple[Directions, list[Path]]:
    """Run the discovery in the run folder `out`, or go on with it; return the directions and the files written.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        InvalidArgumentError: an option does not fit the generator.
        RunFolderError: the folder cannot be used.
        StopRequestedError: Ctrl-C or SIGTERM; the work is saved.
    """
    device = choose_device(options.device)
    with ProgressReporter("download, MB") as progress:
        path = locate(options.ckpt, progress)
    generator = load(path, device)
    space = space_of(generator, features=options.features, layers=options.layers, label=options.label)
    facts = {
        "checkpoint_sha256": sha256_of(path),
        "method": options.method,
        "space": "W",
        "resolution": space.resolution,
        "layers": None if space.layers is None else list(space.layers),
        "label": space.label,
    }
    with RunFolder.open(
        out, _config(options, facts), command="discover", device=str(device), free_keys=("ckpt", "device", "pictures")
    ) as folder:
        directions = _finished_directions(folder)
        if directions is None:
            directions = _searched(folder, space, options, facts, device)
        written = [folder.path / "directions.safetensors", folder.path / "scores.json"]
        return directions, written + draw_run(folder.path, space, directions, options.pictures)


def space_of(generator: Generator, *, features: int | None, layers: str | None, label: int | None) -> WSpace:
    """The W space that options describe; see `DiscoverOptions`."""
    if features is None:
        features = min(_THIRD_BLOCK_PX, generator.img_resolution)
    chosen = parse_layers(layers, generator.num_ws)
    return WSpace(generator=generator, resolution=features or None, layers=chosen, label=label)


def _config(options: DiscoverOptions, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "ckpt": options.ckpt,
        "search": dataclasses.asdict(options.search),
        "pictures": dataclasses.asdict(options.pictures),
        "device": options.device,
        **facts,
    }


def _finished_directions(folder: RunFolder) -> Directions | None:
    path = folder.path / "directions.safetensors"
    return Directions.load(path) if folder.finished and path.exists() else None


def _searched(
    folder: RunFolder, space: WSpace, options: DiscoverOptions, facts: dict[str, Any], device: torch.device
) -> Directions:
    """Search, judge, and save directions and scores."""
    search = _start(folder, space, options, device)
    _take_steps(folder, search)
    directions = conclude(search) if options.method == "topdis" else _baseline(search, space, options)
    directions = dataclasses.replace(
        directions,
        metadata={
            **directions.metadata,
            **facts,
            "version": __version__,
            "seed": options.search.seed,
            "settings": dataclasses.asdict(options.search),
        },
    )
    directions.save(folder.path / "directions.safetensors")
    write_json(folder.path / "scores.json", directions.score_table())
    return directions


def _start(folder: RunFolder, space: WSpace, options: DiscoverOptions, device: torch.device) -> Discovery:
    checkpoint = folder.resume()
    if checkpoint is not None:
        state = checkpoint.tensors, checkpoint.rest
        return Discovery.resume(space.features, space.sample_codes, options.search, state, device=device)
    return Discovery(space.features, space.sample_codes, options.search, device=device)


def _take_steps(folder: RunFolder, search: Discovery) -> None:
    saved_s = time.monotonic()
    num_steps = search.settings.steps
    with Interrupt() as interrupt, ProgressReporter("discover") as progress:
        while not search.finished:
            values = search.step()
            folder.append_metrics({"step": search.step_index, **values})
            progress(search.step_index, num_steps, **values)
            if interrupt.requested or time.monotonic() - saved_s > _SAVE_INTERVAL_S:
                folder.save(search.step_index, *search.state())
                saved_s = time.monotonic()
            interrupt.check(f"saved after step {search.step_index} of {num_steps}; the same command goes on from there")
    folder.save(search.step_index, *search.state())


def _baseline(search: Discovery, space: WSpace, options: DiscoverOptions) -> Directions:
    """The baseline's directions, as many as the span has, in their own order and judged like the others."""
    size = search.span.size
    codes = space.sample_codes(options.search.num_span_codes, torch.Generator().manual_seed(options.search.seed))
    if options.method == "random":
        directions = search.directions(search.start)
    elif options.method == "span-axes":
        directions = search.directions(torch.eye(size).to(search.start))
    elif options.method == "ganspace":
        directions = ganspace(codes, size)
    elif options.method == "sefa":
        directions = sefa(style_weights(space), codes, size)
    else:
        directions = coordinate_axes(codes, size)
    return judged(directions, search.judge(directions))


def style_weights(space: WSpace) -> Tensor:
    """The weights (rows, w_dim) that read the code in the convolutions of the space's layers, stacked."""
    convolutions = [module for name, module in space.generator.named_modules() if name.endswith(("conv0", "conv1"))]
    chosen = range(len(convolutions)) if space.layers is None else [k for k in space.layers if k < len(convolutions)]
    if not chosen:
        raise InvalidArgumentError("the chosen layers hold no convolution that reads a style; choose lower ones")
    return torch.cat([convolutions[k].get_submodule("affine").weight.detach() for k in chosen])
