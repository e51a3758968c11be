"""`topdis-gan explore`: the live page of a run: any seed, any mix of directions, truncation, layers.

The run is only read; names and stars go into names.json. So it may be explored while another process works in the same
folder, or explores it too.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import Command, Settings, nested, option
from stylegan2.settings import NAMED_LAYERS, PictureSettings, RunSettings

if TYPE_CHECKING:
    from torch import Tensor

    from ganspace_topdis.traversal.live.renderer import LiveModel
    from ganspace_topdis.traversal.live.server import LiveServer
    from stylegan2.loading import LoadedRun
    from stylegan2.space import LatentSpace

__all__ = ["COMMAND", "Options", "OwnLatents", "open_server", "run", "to_text"]

_MAX_CODES, _MAX_OWN = 4096, 64


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What the page starts with, and where it is served."""

    run: Path = option(help="Run folder, or its directions file.", argument=True)
    latents: Path | None = option(
        None, help="Codes of images to start with: .npy, .npz or .pt.", group="Pictures", metavar="FILE"
    )
    port: int = option(0, help="Port on 127.0.0.1; 0 for any free one.", group="Server", minimum=0, maximum=65535)
    browser: bool = option(True, help="Open the page.", group="Server")
    pictures: PictureSettings = nested(
        PictureSettings, hide=("num_frames", "truncation_cutoff", "num_mixed", "batch_size")
    )
    loading: RunSettings = nested(RunSettings)


def run(options: Options) -> Iterator[dict[str, Any]]:
    """Serve the live page until Ctrl-C, its normal end, or SIGTERM; yield {"url": its address} once the server answers.

    Raises:
        CheckpointError: directions or checkpoint cannot be used, or do not belong together.
        InvalidArgumentError: the port, a layer or a class cannot be used.
        StopRequestedError: SIGTERM.
    """
    import signal
    import threading
    import time
    import webbrowser

    from ganspace_topdis.runs.devices import tune_malloc
    from ganspace_topdis.runs.progress import Interrupt, StopRequestedError
    from stylegan2.loading import load_run
    from stylegan2.ops.weight_cache import frozen_weights
    from stylegan2.runs.pictures import edit_command

    tune_malloc()
    loaded = load_run(options.run, options.loading)
    latents = None if options.latents is None else OwnLatents.read(options.latents, loaded.space)
    loading = options.loading
    command = edit_command({"--directions": options.run, "--label": loading.label, "--ckpt": loading.ckpt})
    serving = open_server(loaded, options.pictures, port=options.port, command=command, latents=latents)
    with frozen_weights(), serving as server, Interrupt(notify=lambda _: None) as interrupt:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        yield {"url": server.url}
        if options.browser:
            webbrowser.open(server.url)
        while not interrupt.requested:
            time.sleep(0.1)
        server.shutdown()
        try:
            interrupt.stop("the page no longer answers")
        except StopRequestedError as stop:
            if stop.exit_code != 128 + signal.SIGINT:
                raise


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """The address."""
    return str(record["url"])


@dataclass(frozen=True, kw_only=True)
class OwnLatents:
    """The user's codes.

    Attributes:
        path: their file.
        codes: (N, code_dim); in w (N, num_ws, w_dim).
        names: what the page calls them.
    """

    path: Path
    codes: "Tensor"
    names: tuple[str, ...]

    @classmethod
    def read(cls, path: Path, space: "LatentSpace") -> "OwnLatents":
        """Read the codes in `path` and fit them to `space`.

        Raises:
            CheckpointError: the file holds no codes.
            InvalidArgumentError: they do not fit, or there are too many for the page.
        """
        from stylegan2.latents import fit_latents, read_latents

        codes = fit_latents(read_latents(path), space)
        if len(codes) > _MAX_OWN:
            raise InvalidArgumentError(
                f"`latents` {path} holds {len(codes)} codes; the page shows at most {_MAX_OWN}, give a file of fewer",
                field="latents",
            )
        numbered = tuple(f"{path.stem} {row}" for row in range(len(codes)))
        return cls(path=path, codes=codes, names=(path.stem,) if len(codes) == 1 else numbered)


def open_server(
    loaded: "LoadedRun",
    pictures: PictureSettings,
    *,
    port: int = 0,
    command: str = "",
    latents: OwnLatents | None = None,
) -> "LiveServer":
    """The server of the live page of `loaded`, which answers once `serve_forever` runs.

    Args:
        loaded: the run.
        pictures: the initial state of the page.
        port: 0 for any free one.
        command: what the page offers for its image; see `PageText`.
        latents: the user's codes, shown before those of seeds.

    Raises:
        InvalidArgumentError: the port cannot be used.
    """
    from ganspace_topdis.traversal.live.renderer import Renderer
    from ganspace_topdis.traversal.live.server import LiveServer, PageSettings
    from ganspace_topdis.traversal.names import NamesStore
    from stylegan2.runs.pictures import labels_of, page_text, source_of

    directions = loaded.directions
    text = page_text(directions, pictures, loaded.folder)
    names = NamesStore(loaded.folder, num_directions=directions.num_directions, source=source_of(directions))
    names.read()  # a file that cannot be used is reported before the page opens
    settings = PageSettings(
        labels=labels_of(directions),
        seeds=pictures.seeds,
        title=text.title,
        subtitle=f"live; {text.whole_subtitle}",
        source=text.source,
        command=command,
        extent=pictures.extent,
        truncation_psi=pictures.truncation_psi,
        latent_names=() if latents is None else latents.names,
        latents_file="" if latents is None else shlex.quote(str(latents.path)),
    )
    return LiveServer(Renderer(_model_of(loaded, latents)), names, settings, port=port)


def _model_of(loaded: "LoadedRun", latents: OwnLatents | None) -> "LiveModel":
    from functools import lru_cache

    import torch

    from ganspace_topdis.traversal.live.renderer import LiveModel

    space = loaded.space
    generator, has_layers = space.generator, space.name != "z"
    all_layers, found_in = range(generator.num_ws), loaded.directions.metadata.get("layers")
    ranges = [(name, tuple(all_layers[slice(*ends)])) for name, ends in NAMED_LAYERS.items()]

    @lru_cache(maxsize=_MAX_CODES)
    def code_of_seed(seed: int, psi: float) -> "Tensor":
        return space.truncated(psi, space.truncation_cutoff).codes_of_seeds([seed])

    def generate(codes: "Tensor", psi: float) -> "Tensor":
        with torch.no_grad():
            return space.truncated(psi, space.truncation_cutoff).images(codes)

    return LiveModel(
        generate=generate,
        directions=loaded.directions,
        code_of_seed=code_of_seed,
        image_px=generator.config.image_size,
        num_channels=generator.img_channels,
        num_layers=generator.num_ws if has_layers else None,
        layers=space.layers,
        own_layers=None if found_in is None else tuple(found_in),
        latents=None if latents is None else latents.codes,
        layer_ranges=[("all", tuple(all_layers)), *((name, layers) for name, layers in ranges if layers)],
    )


COMMAND = Command(
    options=Options,
    run=run,
    to_text=to_text,
    help="""Explore the directions of a run on a live page: any seed or code, any mix of shifts, truncation, layers.

    Serves this machine only, until Ctrl-C. Names and stars go into names.json in the run folder.""",
    examples=(
        "topdis-gan explore runs/ffhq",
        "topdis-gan explore runs/ffhq --latents photo.npz",
        "topdis-gan explore runs/ffhq --seeds 3,7 --port 8000 --no-browser",
    ),
)
