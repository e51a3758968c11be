"""`topdis-gan discover`: from a checkpoint to a run folder with directions, scores, pictures and a page.

load -> search -> judge on held-out codes -> save -> draw

Search and judgement go on where they were stopped or killed; pictures are drawn again. In the folder of a finished run
whatever is damaged of the results is reported, and made again where it can be.
"""

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

from ganspace_topdis import __version__
from ganspace_topdis.discovery.api import conclude, judged
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.settings import SEARCH_METHODS, DiscoverySettings
from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.allocator import reuse_freed_memory
from ganspace_topdis.runs.distributed import World, join_world
from ganspace_topdis.runs.files import set_aside, sha256_of, write_json
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.runs.shared_folder import SharedFolder, open_shared
from ganspace_topdis.traversal.names import read_names
from stylegan2.commands.closed_forms import CLOSED_FORMS, ClosedForm, closed_form
from stylegan2.commands.pictures import PictureOptions, draw_run
from stylegan2.commands.ranges import parse_layers
from stylegan2.commands.traverse import require_same_checkpoint
from stylegan2.generator import Generator
from stylegan2.loading import load, locate
from stylegan2.ops.kept import weights_stay
from stylegan2.space import LatentSpace, NoiseMode, SpaceName

__all__ = ["DiscoverOptions", "discover"]

_SAVE_INTERVAL_S = 20.0
_LARGEST_WHOLE_PX = 32
_FEATURES_PX = 16
"""Generators up to the first have their last block compared, which found more; larger ones a block that is cheap."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscoverOptions:
    """What one discovery depends on.

    Attributes:
        ckpt: a file, an https address, or a name.
        closed_form: one of `discovery.baselines` instead of the search that `search.method` names.
        refine: what the search starts from: a run folder, or one of `CLOSED_FORMS`; None for the span's axes.
        space: "z", "w" or "s".
        features: side of the block whose activations are compared, px; 0 takes images pooled to 64 px; None
            the last block of a generator up to 32 px, and that of 16 px of a larger one.
        layers: layers that get the code, as they are typed ("0-3,6"); None for all.
        label: the class of a conditional generator.
        noise_mode: "const" or "none"; fresh noise would change features where nothing moves.
        search_psi: truncation of the codes that are searched with; 1 for none.
        search: settings of the search.
        names: names of the directions, saved from their page.
        pictures: what is drawn.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
    """

    ckpt: str = "scenes"
    closed_form: ClosedForm | None = None
    refine: str | None = None
    space: SpaceName = "w"
    features: int | None = None
    layers: str | None = None
    label: int | None = None
    noise_mode: NoiseMode = "const"
    search_psi: float = 1.0
    search: DiscoverySettings = dataclasses.field(default_factory=DiscoverySettings)
    names: Path | None = None
    pictures: PictureOptions = dataclasses.field(default_factory=PictureOptions)
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.noise_mode == "random":
            raise InvalidArgumentError("--noise is 'random', which changes features by itself; allowed are const, none")
        if self.search.compile != "none" and self.space == "s":
            raise InvalidArgumentError("--compile is not for --space s, whose channels are put in layer by layer")
        if "sefa" in (self.closed_form, self.refine) and self.space != "w":
            raise InvalidArgumentError(f"sefa reads the weights that take w, --space is {self.space}; give --space w")
        if self.closed_form is not None and self.refine is not None:
            raise InvalidArgumentError(
                f"--refine improves a search's start, but {self.closed_form} makes no steps; "
                f"give --method {', '.join(SEARCH_METHODS[:-1])} or {SEARCH_METHODS[-1]}"
            )

    @property
    def method(self) -> str:
        """The method by its name."""
        return self.closed_form or self.search.method


def discover(options: DiscoverOptions, out: Path) -> tuple[Directions, list[Path]]:
    """Run the discovery in the run folder `out`, or go on with it; return the directions and the files written.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        InvalidArgumentError: an option does not fit the generator.
        RunFolderError: the folder cannot be used.
        StopRequestedError: Ctrl-C or SIGTERM; the work is saved.
    """
    reuse_freed_memory()
    with join_world(options.device) as world, weights_stay():
        return _discover_in(world, options, out)


def _discover_in(world: World, options: DiscoverOptions, out: Path) -> tuple[Directions, list[Path]]:
    if options.search.precision == "bf16" and world.device.type != "cuda":
        raise InvalidArgumentError(
            f"--precision is 'bf16', which only a GPU is faster in; {world.device} takes float32"
        )
    if options.names is not None:
        read_names(options.names, num_directions=options.search.num_directions)
    path = _located(options.ckpt, world)
    generator = load(path, world.device)
    space = space_of(generator, options)
    space.truncated(options.pictures.truncation_psi, options.pictures.truncation_cutoff)  # which checks them
    if space.name == "s":
        options = dataclasses.replace(options, search=dataclasses.replace(options.search, whitening="channels"))
    facts: dict[str, Any] = {
        "checkpoint_sha256": sha256_of(path),
        "method": options.method,
        **space.facts(),
    }
    start = _start_of(options.refine, path, space)
    if isinstance(start, Directions):
        facts["refined"] = {"method": start.metadata.get("method"), "sha256": start.fingerprint}
    elif start is not None:
        facts["refined"] = {"method": start}
    record = {"command": "discover", "device": str(world.device), "free_keys": ("ckpt", "device", "pictures")}
    with open_shared(world, out, _config(options, facts), **record) as folder:
        directions = _earlier_directions(folder, world)
        if directions is None:
            directions = _searched(folder, world, space, options, start, facts)
        elif not folder.finished:
            _mend_checkpoint(folder, world, space, options, start)
        if world.leads:
            _write_scores(folder.path / "scores.json", directions)
        written = [folder.path / "directions.safetensors", folder.path / "scores.json"]
        if world.leads:
            written += draw_run(folder.path, space, directions, options.pictures, names=options.names)
        folder.drop_partial()
        return directions, written


def _located(ckpt: str, world: World) -> Path:
    """The checkpoint's file; the leader looks first, and only on a machine that lacks it another does."""

    def look() -> Path:
        with ProgressReporter("download, MB") as progress:
            return locate(ckpt, progress)

    path: Path = world.from_leader(look)
    return path if path.exists() else look()


def space_of(generator: Generator, options: DiscoverOptions) -> LatentSpace:
    """The space that `options` describe."""
    features = options.features
    if features is None:
        side = generator.img_resolution
        features = side if side <= _LARGEST_WHOLE_PX else _FEATURES_PX
    return LatentSpace(
        generator=generator,
        name=options.space,
        resolution=features or None,
        layers=parse_layers(options.layers, generator.num_ws),
        label=options.label,
        noise_mode=options.noise_mode,
        truncation_psi=options.search_psi,
    )


def _config(options: DiscoverOptions, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "ckpt": options.ckpt,
        "search": dataclasses.asdict(options.search),
        "pictures": dataclasses.asdict(options.pictures),
        "device": options.device,
        "search_psi": options.search_psi,
        **facts,
    }


def _earlier_directions(folder: SharedFolder, world: World) -> Directions | None:
    """The directions of a run that was finished before; None, with a warning, where they are damaged."""
    if not folder.was_finished:
        return None

    def read() -> Directions | None:
        path = folder.path / "directions.safetensors"
        if not path.exists():
            return None
        try:
            return Directions.load(path)
        except CheckpointError as error:
            warnings.warn(
                f"{error}; made again as the search left them, and kept as {set_aside(path).name}", stacklevel=2
            )
            return None

    found: Directions | None = world.from_leader(read)
    return found


def _mend_checkpoint(
    folder: SharedFolder,
    world: World,
    space: LatentSpace,
    options: DiscoverOptions,
    start: Directions | ClosedForm | None,
) -> None:
    """Take the last steps of a finished run again, whose last checkpoint is damaged; its directions stand."""
    try:
        search = _search_of(folder, world, space, options, start)
        if options.closed_form is None:
            _take_steps(folder, search)
    except CheckpointError as error:
        if world.leads:
            warnings.warn(f"{error}; the directions do not depend on it", stacklevel=2)


def _write_scores(path: Path, directions: Directions) -> None:
    """Write scores.json, unless it says what the directions say; one that says something else is reported and kept."""
    table = directions.score_table()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = None
    except (OSError, ValueError, RecursionError):
        found = "damaged"
    if found == json.loads(json.dumps(table)):
        return
    if found is not None:
        kept = set_aside(path)
        warnings.warn(
            f"{path} is not what directions.safetensors says; made again, and kept as {kept.name}", stacklevel=2
        )
    write_json(path, table)


def _start_of(refine: str | None, ckpt: Path, space: LatentSpace) -> Directions | ClosedForm | None:
    """What --refine names: a method, or the directions of a run on the same checkpoint, in the same space."""
    if refine is None:
        return None
    for name in CLOSED_FORMS:
        if refine == name:
            return name
    if not Path(refine).exists():
        raise InvalidArgumentError(
            f"--refine is {refine!r}, allowed are a run folder, its directions file, {', '.join(CLOSED_FORMS)}"
        )
    directions = Directions.load(refine)
    require_same_checkpoint(directions, ckpt)
    found_in = directions.metadata.get("space", space.name)
    if found_in != space.name:
        raise InvalidArgumentError(
            f"--refine {refine} holds directions of space {found_in}, --space is {space.name}; give the same space"
        )
    return directions


def _searched(
    folder: SharedFolder,
    world: World,
    space: LatentSpace,
    options: DiscoverOptions,
    start: Directions | ClosedForm | None,
    facts: dict[str, Any],
) -> Directions:
    """Search, judge, and save directions and scores."""
    search = _search_of(folder, world, space, options, start)
    if options.closed_form is None:
        _take_steps(folder, search)
        found = None
    else:
        found = closed_form(options.closed_form, search, space)
        folder.save(0, *search.state())
    with folder.partial_work(every_s=_SAVE_INTERVAL_S) as kept, ProgressReporter("judge, clouds") as progress:
        if found is None:
            directions = conclude(search, progress, kept)
        else:
            directions = judged(found, search.judge(found, progress, kept))
    settings = {"version": __version__, "seed": options.search.seed, "settings": dataclasses.asdict(options.search)}
    directions = dataclasses.replace(directions, metadata={**directions.metadata, **facts, **settings})
    if world.leads:
        directions.save(folder.path / "directions.safetensors")
    return directions


def _search_of(
    folder: SharedFolder,
    world: World,
    space: LatentSpace,
    options: DiscoverOptions,
    start: Directions | ClosedForm | None,
) -> Discovery:
    """The search where it was left, or at its start."""
    checkpoint = folder.resume()
    if checkpoint is not None:
        state = checkpoint.tensors, checkpoint.rest
        return Discovery.resume(space.features, space.sample_codes, options.search, state, device=world.device)
    with ProgressReporter("span, codes") as progress:
        search = Discovery(
            space.features,
            space.sample_codes,
            options.search,
            device=world.device,
            progress=progress,
        )
    if start is not None:
        search.start_near(start if isinstance(start, Directions) else closed_form(start, search, space))
    if options.names is not None:
        read_names(options.names, num_directions=search.span.size)
    if options.closed_form is None:
        folder.save(0, *search.state())
    return search


def _take_steps(folder: SharedFolder, search: Discovery) -> None:
    num_steps = search.settings.steps
    saving = folder.saving(lambda: (search.step_index, *search.state()), num_steps=num_steps, every_s=_SAVE_INTERVAL_S)
    with saving as stepped, ProgressReporter("discover") as progress:
        while not search.finished:
            values = search.step()
            folder.append_metrics({"step": search.step_index, **values})
            progress(search.step_index, num_steps, **values)
            stepped()
