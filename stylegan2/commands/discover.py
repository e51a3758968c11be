"""`topdis-gan discover`: from a checkpoint to a run folder with directions, scores, pictures and a page.

    load -> search -> evaluate on held-out codes -> save -> draw

Each of them resumes where it was stopped or killed. In the folder of a finished run, damaged results are reported and
made again where that is possible. A run that takes long prints its plan first, and draws a preview before the search.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganspace_topdis.discovery.settings import (
    SEARCH_METHODS,
    ClosedForm,
    DiscoverySettings,
    SearchMethod,
)
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import Command, Settings, device_option, nested, option
from ganspace_topdis.runs.hub import HubAddress, is_hub_address, pinned
from stylegan2.settings import WHITENING, PictureSettings, checkpoint_names, parse_features, parse_layers

if TYPE_CHECKING:
    from ganspace_topdis.runs.distributed import ProcessGroup
    from stylegan2.generator import Generator
    from stylegan2.runs.plan import Pace, RunPlan
    from stylegan2.runs.search import Start
    from stylegan2.space import LatentSpace

__all__ = ["COMMAND", "Options", "directions_text", "plan_text", "run", "space_of", "to_text"]

Method = Literal[SearchMethod, ClosedForm]

_SCORES = ("rank", "score", "chance", "effect", "rtd_before", "rtd_after", "mixed", "overlap")
_COLUMNS = (*_SCORES, "factor", "share", "own_change", "spearman", "recognized", "agreement")
_INTERVALS = {"effect": ("effect_low", "effect_high"), "rtd_after": ("rtd_low", "rtd_high")}
_NO_BETTER = "no better: than chance, random directions of the same effect."
_IN_PARENTHESES = "In parentheses: 95 % intervals, by Student's t over clouds of codes."
_MAIN, _SPACE = "Main", "Space"
_RECORD: dict[str, Any] = {"command": "discover", "free_keys": ("ckpt", "device", "pictures")}
"""How a run folder is opened; its results do not depend on these keys of the configuration."""


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What one discovery depends on.

    Raises:
        InvalidArgumentError: a value is not allowed, or two contradict each other.
    """

    ckpt: str = option(
        "scenes-64", help="StyleGAN2 file, https or hf address, or name.", group=_MAIN, complete=checkpoint_names
    )
    method: Method = option("topdis", help="Search, or closed form.", group=_MAIN)
    out: Path | None = option(None, help="Run folder.", group=_MAIN, default_text="runs/CKPT-METHOD")
    search: DiscoverySettings = nested(DiscoverySettings, hide=("method", "whitening"))
    refine: str | None = option(
        None,
        help="Start from the directions of a run, or of a closed form.",
        group="Search",
        metavar="RUN|METHOD",
        default_text="the axes of the span",
        only_for={"method": SEARCH_METHODS},
    )
    space: Literal["z", "w", "w+", "s"] = option(
        "w", help="Codes z, styles w, a style per layer w+, or style channels s.", group=_SPACE
    )
    layers: str | None = option(
        None, help='Layers that get the code: "0-3,6", coarse, middle, fine.', group=_SPACE, default_text="all"
    )
    features: int | None = option(
        None,
        help="Block whose activations are compared, or image.",
        group=_SPACE,
        metavar="PX|image",
        parse=parse_features,
        default_text="the last one up to 32 px, else 16",
    )
    label: int | None = option(None, help="Class, for conditional generators.", group=_SPACE)
    noise_mode: Literal["const", "none"] = option(
        "const", help="Noise of the features and pictures.", group=_SPACE, flag="--noise"
    )
    search_psi: float = option(1.0, help="Truncation of the codes that are searched; 1 for none.", group=_SPACE)
    pictures: PictureSettings = nested(PictureSettings)
    all_pictures: bool = option(
        False, help="Draw the default pictures also where they take longer than the search.", group="Pictures"
    )
    names: Path | None = option(
        None, help="Names of the directions, saved from their page.", group="Pictures", metavar="FILE"
    )
    device: str = device_option("Machine")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.search.compile != "none" and self.space == "s":
            raise InvalidArgumentError(
                "`compile` is not available in space s, where channels are replaced layer by layer", field="compile"
            )
        if self.layers is not None and self.space == "w+":
            raise InvalidArgumentError(
                "`layers` was given, but a search in w+ moves all layers; leave `layers` out, or give space w or s",
                field="layers",
            )
        if "sefa" in (self.method, self.refine) and self.space != "w":
            raise InvalidArgumentError(
                f"sefa reads the weights that take w, `space` is {self.space}; give space w", field="space"
            )
        if self.method not in SEARCH_METHODS and self.refine is not None:
            raise InvalidArgumentError(
                f"`refine` improves the start of a search, but {self.method} takes no steps; "
                f"give `method` {', '.join(SEARCH_METHODS[:-1])} or {SEARCH_METHODS[-1]}",
                field="refine",
            )
        if self.refine is not None and self.search.initialization != "axes":
            raise InvalidArgumentError(
                "`refine` is where the search starts; leave `initialization` out", field="initialization"
            )
        method = self.method if self.method in SEARCH_METHODS else "topdis"
        search_in = self.search.search_in if self.method == method else "span"
        object.__setattr__(
            self,
            "search",
            dataclasses.replace(self.search, method=method, whitening=WHITENING[self.space], search_in=search_in),
        )

    @property
    def closed_form(self) -> Any:
        """The method, where it takes no steps; else None."""
        return None if self.method in SEARCH_METHODS else self.method

    @property
    def folder(self) -> Path:
        """The run folder."""
        name = HubAddress.parse(self.ckpt).path if is_hub_address(self.ckpt) else self.ckpt
        return self.out or Path("runs") / f"{Path(name).stem}-{self.method}"


def run(options: Options) -> dict[str, Any]:
    """Discover, or resume; return the table of scores and the files written.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        InvalidArgumentError: an option does not fit the generator or the machine.
        RunFolderError: the folder cannot be used.
        StopRequestedError: Ctrl-C or SIGTERM; the work is saved.
    """
    from ganspace_topdis.runs.devices import tune_malloc
    from ganspace_topdis.runs.distributed import join_process_group
    from ganspace_topdis.runs.folder import RunFolder
    from ganspace_topdis.runs.shared_folder import open_shared
    from stylegan2.ops.weight_cache import frozen_weights
    from stylegan2.runs.frames import PREVIEW, draw_preview
    from stylegan2.runs.pictures import draw_run
    from stylegan2.runs.plan import announce, chosen_pictures, measure_pace
    from stylegan2.runs.search import SAVE_INTERVAL_S, SearchRun, find_start, write_scores

    tune_malloc()
    with join_process_group(options.device) as world, frozen_weights():
        path, space = _checked(options, world)
        start = find_start(options.refine, path, space)
        facts = _facts(options, path, space, start)
        world.broadcast(lambda: RunFolder.check(options.folder, _config(options, facts), **_RECORD))

        # What will be done, and how long it takes here.
        pace = cache(partial(measure_pace, space, options.search.batch_size))  # measured where it is needed
        preview = None
        if world.is_main and not (options.folder / "directions.safetensors").exists():
            plan = _planned(pace(), space, options)
            if announce(plan):
                preview = partial(draw_preview, options.folder, space, options.pictures, image_s=pace().image_s)

        # Search, scores and pictures, in the run folder.
        record = _config(options, facts)
        with open_shared(world, options.folder, record, device=str(world.device), **_RECORD) as folder:
            directions = SearchRun(
                folder=folder,
                world=world,
                space=space,
                settings=options.search,
                closed_form=options.closed_form,
                start=start,
                names=options.names,
                preview=preview,
            ).directions(facts)
            written = [folder.path / "directions.safetensors", folder.path / "scores.json"]
            if world.is_main:
                write_scores(folder.path / "scores.json", directions)
                pictures = chosen_pictures(
                    folder.path,
                    options.pictures,
                    lambda: _planned(pace(), space, options, directions.num_directions),
                    all_pictures=options.all_pictures,
                )
                with folder.partial_work(every_s=SAVE_INTERVAL_S) as work:
                    store = work if world.size == 1 else None  # other processes do not draw, and cannot be asked
                    written += draw_run(folder.path, space, directions, pictures, names=options.names, store=store)
                (folder.path / PREVIEW).unlink(missing_ok=True)
            folder.drop_partial()
    return {**directions.score_table(), "files": [str(path) for path in written]}


def _checked(options: Options, world: "ProcessGroup") -> "tuple[Path, LatentSpace]":
    """The checkpoint, and the space of the search; all that can be wrong is checked before the folder is made."""
    from ganspace_topdis.traversal.names import read_names
    from stylegan2.loading import load
    from stylegan2.runs.search import locate_everywhere

    if options.search.precision == "bf16" and world.device.type == "cpu":
        raise InvalidArgumentError(
            f"`precision` is 'bf16', which is faster on a GPU only; {world.device} takes float32", field="precision"
        )
    if options.names is not None:
        read_names(options.names, num_directions=options.search.num_directions)
    path = locate_everywhere(options.ckpt, world)
    space = space_of(load(path, world.device), options)
    space.truncated(options.pictures.truncation_psi, options.pictures.truncation_cutoff)
    return path, space


def _facts(options: Options, path: Path, space: "LatentSpace", start: "Start") -> dict[str, Any]:
    """What directions say of their search, and what their run is continued by."""
    from ganspace_topdis.runs.files import sha256_of

    return {"checkpoint_sha256": sha256_of(path), "method": options.method, **space.facts(), **_refined(start)}


def _refined(start: "Start") -> dict[str, Any]:
    """The fact that directions carry of the start of their search."""
    if start is None:
        return {}
    if isinstance(start, str):
        return {"refined": {"method": start}}
    return {"refined": {"method": start.metadata.get("method"), "sha256": start.fingerprint}}


def plan_text(options: Options) -> str:
    """What a run with these options would do, and how long each part takes here; nothing is downloaded for it.

    Raises:
        TopdisError: the checkpoint cannot be used, or the options do not fit it.
    """
    from ganspace_topdis.runs.devices import choose_device
    from ganspace_topdis.runs.folder import RunFolder
    from stylegan2.loading import load
    from stylegan2.ops.weight_cache import frozen_weights
    from stylegan2.runs.plan import measure_pace
    from stylegan2.runs.search import find_start
    from stylegan2.zoo import is_on_this_machine, locate

    if not is_on_this_machine(options.ckpt):
        return f"plan: {options.ckpt} is downloaded first, and can be timed then"
    path = locate(options.ckpt)
    space = space_of(load(path, choose_device(options.device)), options)
    start = find_start(options.refine, path, space)
    facts = _facts(options, path, space, start)
    RunFolder.check(options.folder, _config(options, facts), **_RECORD)
    with frozen_weights():
        return _planned(measure_pace(space, options.search.batch_size), space, options).as_text()


def _planned(pace: "Pace", space: "LatentSpace", options: Options, num_directions: int | None = None) -> "RunPlan":
    from stylegan2.runs.plan import plan_run

    return plan_run(
        pace,
        options.search,
        options.pictures,
        image_px=space.generator.img_resolution,
        num_directions=num_directions,
        takes_steps=options.closed_form is None,
        all_pictures=options.all_pictures,
    )


def space_of(generator: "Generator", options: Options) -> "LatentSpace":
    """The space that `options` describe."""
    from stylegan2.space import LatentSpace, default_features

    features = default_features(generator) if options.features is None else options.features
    most = generator.z_dim if options.space == "z" else generator.w_dim
    if (options.search.num_directions or 1) > most:
        raise InvalidArgumentError(
            f"`num_directions` is {options.search.num_directions}, allowed are 1 to {most} in this space",
            field="num_directions",
        )
    return LatentSpace(
        generator=generator,
        name=options.space,
        resolution=features or None,
        layers=parse_layers(options.layers, generator.num_ws),
        label=options.label,
        noise_mode=options.noise_mode,
        truncation_psi=options.search_psi,
    )


def _config(options: Options, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ckpt": pinned(options.ckpt),
        "search": dataclasses.asdict(options.search),
        "pictures": dataclasses.asdict(options.pictures),
        "device": options.device,
        "search_psi": options.search_psi,
        **facts,
    }


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """The table of scores, then the files."""
    return "\n".join([directions_text(record), *record["files"]])


def directions_text(record: Mapping[str, Any]) -> str:
    """The scores of every direction as a table of at most 80 columns, by rank where there is one."""
    from ganspace_topdis.report.table import Table, to_text
    from ganspace_topdis.report.values import format_factor, score_name

    def cell(row: Mapping[str, Any], name: str) -> str:
        value = row.get(name)
        if name == "factor" and value is not None:
            return format_factor(value, row.get("share"))
        if not isinstance(value, float):
            return str(value if value is not None else "")
        if name == "chance":
            return f"{value:.3g}" if row.get("better_than_chance") else f"{value:.3g}, no better"
        ends = [row.get(end) for end in _INTERVALS.get(name, ())]
        if not ends or not all(isinstance(end, float) for end in ends):
            return f"{value:.4g}"
        return f"{value:.3g} ({ends[0]:.3g} to {ends[1]:.3g})"

    shown = [name for name in _COLUMNS if any(row.get(name) is not None for row in record["directions"])]
    rows = sorted(record["directions"], key=lambda row: row.get("rank", 0))
    notes = [_NO_BETTER] if any(row.get("better_than_chance") is False for row in rows) else []
    if any(isinstance(row.get(end), float) for row in rows for ends in _INTERVALS.values() for end in ends):
        notes.append(_IN_PARENTHESES)
    return to_text(
        Table(
            header=("direction", *map(score_name, shown)),
            note=" ".join(notes),
            rows=tuple((str(row["index"]), *(cell(row, name) for name in shown)) for row in rows),
        )
    )


COMMAND = Command(
    options=Options,
    run=run,
    to_text=to_text,
    plan=plan_text,
    help="""Find directions in a StyleGAN2 checkpoint; write directions, scores, pictures and a page.

    Without options: the packaged generator of scenes at 64 px. The same command resumes a stopped run.""",
    examples=(
        "topdis-gan discover --ckpt ffhq.pkl --out runs/ffhq",
        "topdis-gan discover --method sefa --layers 0-7 --num-directions 10",
    ),
    groups=("Main", "Search", "Space", "Pictures", "Shift", "Loss", "Span", "Machine"),
    presets={
        "quick": {"steps": 40, "num_span_codes": 2000},
        "thorough": {"steps": 1000, "batch_size": 128},
    },
)
