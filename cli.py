"""The command line: parse, call one function, print. No torch is imported before a command runs.

Results go to stdout (paths, tables, or one JSON document with --json), progress, warnings and errors to stderr.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 and 143 stopped by Ctrl-C and SIGTERM with the work saved.
"""

import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganspace_topdis import __version__
from ganspace_topdis.errors import TopdisError
from ganspace_topdis.runs.ranks import is_follower
from ganspace_topdis.runs.settings import describe_settings, settings_layers
from vae.cli import COMMANDS as VAE_COMMANDS

if TYPE_CHECKING:
    from ganspace_topdis.latent.directions import Directions

__all__ = ["main"]

_SEARCHES = ("topdis", "hessian", "contrastive", "reconstructor")
_CLOSED_FORMS = ("random", "span-axes", "ganspace", "ganspace-features", "sefa", "axes")
_SECTIONS = {
    "Generators": ("discover", "score", "traverse", "explore", "compare", "edit", "export"),
    "Checkpoints": ("inspect", "convert"),
    "Autoencoders": ("train-vae", "evaluate-vae", "data", "suite", "report"),
    "Arrays": ("metrics", "rtd"),
}
_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


class _InSections(click.Group):
    """A group whose help lists its commands by what they work on, in the order of their use."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        for title, names in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(limit=70)) for name in names])


@click.group(cls=_InSections, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="topdis-gan")
def cli() -> None:
    """Latent coordinates that change one thing each, by topology (TopDis, Balabin et al. 2024).

    Find directions in a StyleGAN2 generator, or train a disentanglement VAE; score either against truth.
    """


@settings_layers(
    presets={
        "quick": {"steps": 40, "num_span_codes": 2000},
        "thorough": {"steps": 1000, "batch_size": 128},
    }
)
@cli.command(short_help="Find directions in a checkpoint.")
@click.option("--ckpt", default="scenes", show_default=True, help="StyleGAN2 file, https address, or name.")
@click.option("--out", type=_FOLDER, help="Run folder.  [default: runs/CKPT-METHOD]")
@click.option(
    "--method",
    type=click.Choice([*_SEARCHES, *_CLOSED_FORMS]),
    default="topdis",
    show_default=True,
    help="How to find them.",
)
@click.option("--directions", "num_directions", type=int, help="How many.  [default: read off the span's spectrum]")
@click.option(
    "--span", type=click.Choice(["effect", "pca"]), default="effect", show_default=True, help="Where to look."
)
@click.option(
    "--space",
    type=click.Choice(["z", "w", "s"], case_sensitive=False),
    default="w",
    show_default=True,
    help="Codes z, styles w (w+ by --layers), or style channels s.",
)
@click.option(
    "--features",
    metavar="PX|image",
    help="Block whose activations are compared.  [default: the last of up to 32 px, else 16]",
)
@click.option("--layers", help='Layers that get the code: "0-3,6", coarse, middle, fine.  [default: all]')
@click.option("--label", type=int, help="Class, for conditional generators.")
@click.option("--noise", type=click.Choice(["const", "none"]), default="const", show_default=True)
@click.option("--search-psi", type=float, default=1.0, show_default=True, help="Truncation of the search's codes.")
@click.option("--steps", type=int, default=100, show_default=True, help="Optimisation steps.")
@click.option("--batch-size", type=int, default=64, show_default=True, help="Points of a cloud.")
@click.option("--shift", type=float, default=1.0, show_default=True, help="How far a step shifts (see --shift-law).")
@click.option(
    "--shift-law",
    type=click.Choice(["sigma", "gaussian"]),
    default="sigma",
    show_default=True,
    help="Standard deviations, or the paper's shift of the distribution function.",
)
@click.option("--final-shift", type=float, help="Let the shift go to this along the steps.  [default: it stays]")
@click.option("--refine", metavar="RUN|METHOD", help="Start from these directions.  [default: span-axes]")
@click.option(
    "--directions-per-step",
    type=int,
    default=8,
    show_default=True,
    help="Shift along at most so many, drawn at random.",
)
@click.option("--divergence", type=click.Choice(["rtd", "rtd-lite"]), default="rtd", show_default=True)
@click.option("--rtd-variant", type=click.Choice(["min", "max", "minmax"]), default="minmax", show_default=True)
@click.option("--per-effect", is_flag=True, help="Lower RTD over the effect of the shift, not RTD.")
@click.option("--learning-rate", type=float, default=0.1, show_default=True)
@click.option("--num-span-codes", type=int, default=10_000, show_default=True, help="Codes the span is measured on.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--micro-batch", type=int, help="Images at a time: bounds the memory.  [default: as many as fit]")
@click.option(
    "--precision",
    type=click.Choice(["float32", "mixed"]),
    default="float32",
    show_default=True,
    help="Of a GPU's work.",
)
@click.option("--compile", is_flag=True, help="Compile the generator first (minutes; needs a compiler).")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--picture-seeds", default="0-5", show_default=True, help="Images that walk in the pictures.")
@click.option("--extent", type=float, default=3.0, show_default=True, help="Farthest step, standard deviations.")
@click.option("--frames", type=int, default=9, show_default=True, help="Frames of a walk, odd.")
@click.option("--truncation-psi", type=float, default=0.7, show_default=True, help="Of the pictures.")
@click.option("--truncation-cutoff", type=int, help="Truncate so many layers in the pictures.  [default: all]")
@click.option("--names", type=_FILE, help="Names of the directions, saved from their page.")
@click.option("--mix", type=int, help="Directions that the page moves together.  [default: what is quick]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def discover(context: click.Context, *, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Find directions in a StyleGAN2 checkpoint; write directions, scores, pictures and a page.

    Without options: the packaged generator of scenes. The same command goes on where it was stopped.
    """
    if options["out"] is None:
        options["out"] = Path("runs") / f"{Path(options['ckpt']).stem}-{options['method']}"
    if dry_run:
        click.echo(describe_settings(context))
        return
    from stylegan2.commands.discover import discover as run

    directions, written = run(_discover_options(options), options["out"])
    _print_directions(directions, written, as_json)


@settings_layers()
@cli.command(short_help="Draw more pictures of them.")
@click.option("--directions", "run", type=click.Path(path_type=Path), required=True, help="Run folder, or its file.")
@click.option("--direction", "chosen", help="Which: 3, or 0-2,5.  [default: all]")
@click.option("--seeds", default="0-5", show_default=True, help="Images that walk: 1-8,12.")
@click.option("--extent", type=float, default=3.0, show_default=True, help="Farthest step, standard deviations.")
@click.option("--steps", type=int, default=9, show_default=True, help="Frames of a walk, odd.")
@click.option("--layers", help='Layers that move: "0-7", coarse, middle, fine.  [default: the run\'s]')
@click.option(
    "--format",
    "picture_format",
    type=click.Choice(["png", "webp", "gif", "html"]),
    default="png",
    show_default=True,
    help="A grid, an animation, or the page.",
)
@click.option("--truncation-psi", type=float, default=0.7, show_default=True)
@click.option("--truncation-cutoff", type=int, help="Truncate so many layers.  [default: all]")
@click.option("--names", type=_FILE, help="Names saved from the page.  [default: those in the run folder]")
@click.option("--mix", type=int, help="Directions that the page moves together.  [default: what is quick]")
@click.option("--label", type=int, help="Class, for conditional generators.  [default: the run's]")
@click.option("--ckpt", help="Checkpoint.  [default: the run's]")
@click.option("--out", type=_FOLDER, help="Folder for the pictures.  [default: traversals in the run folder]")
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def traverse(context: click.Context, *, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Draw more pictures of directions that were found before: grids, animations, or the page."""
    if dry_run:
        click.echo(describe_settings(context))
        return
    from stylegan2.commands.pictures import PictureOptions
    from stylegan2.commands.ranges import parse_numbers
    from stylegan2.commands.traverse import traverse as run

    pictures = PictureOptions(
        seeds=parse_numbers(options.pop("seeds"), option="--seeds"),
        extent=options.pop("extent"),
        num_steps=options.pop("steps"),
        truncation_psi=options.pop("truncation_psi"),
        truncation_cutoff=options.pop("truncation_cutoff"),
        num_mixed=options.pop("mix"),
    )
    chosen = options.pop("chosen")
    indices = None if chosen is None else parse_numbers(chosen, option="--direction")
    _print_paths(run(options.pop("run"), chosen=indices, pictures=pictures, **options), as_json)


@settings_layers()
@cli.command(short_help="Explore them on a live page.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="On 127.0.0.1; 0: any.")
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page.")
@click.option("--seeds", default="0-5", show_default=True, help="Seeds to start with: 1-8,12.")
@click.option("--extent", type=float, default=3.0, show_default=True, help="Farthest shift, standard deviations.")
@click.option("--layers", help='Layers that move: "0-7", coarse, middle, fine.  [default: the run\'s]')
@click.option("--truncation-psi", type=float, default=0.7, show_default=True)
@click.option("--label", type=int, help="Class, for conditional generators.  [default: the run's]")
@click.option("--ckpt", help="Checkpoint.  [default: the run's]")
@click.option("--device", default="auto", show_default=True)
@click.pass_context
def explore(context: click.Context, *, dry_run: bool, run: Path, **options: Any) -> None:
    """Explore the directions of a run on a live page: any seed, any mix of shifts, truncation, layers.

    Serves this machine alone, until Ctrl-C. Names and stars go into names.json in the run folder.
    """
    if dry_run:
        click.echo(describe_settings(context))
        return
    from stylegan2.commands.explore import explore as serve
    from stylegan2.commands.pictures import PictureOptions
    from stylegan2.commands.ranges import parse_numbers

    pictures = PictureOptions(
        seeds=parse_numbers(options.pop("seeds"), option="--seeds"),
        extent=options.pop("extent"),
        truncation_psi=options.pop("truncation_psi"),
    )
    serve(run, pictures=pictures, tell=click.echo, **options)


@settings_layers()
@cli.command(short_help="Move codes of real images along them.")
@click.option("--directions", "run", type=click.Path(path_type=Path), required=True, help="Run folder, or its file.")
@click.option("--set", "amounts", required=True, metavar="3=+2,5=-1", help="Directions and standard deviations.")
@click.option("--latents", type=click.Path(path_type=Path), help="Codes of images: .npy, .npz or .pt.")
@click.option("--seeds", default="", help="Codes of seeds instead: 1-8,12.")
@click.option("--layers", help='Layers that move: "4-7", coarse, middle, fine.  [default: the run\'s]')
@click.option("--label", type=int, help="Class, for conditional generators.  [default: the run's]")
@click.option("--truncation-psi", type=float, default=0.7, show_default=True, help="Of the seeds' codes.")
@click.option("--noise", "noise_mode", type=click.Choice(["const", "random", "none"]), help="[default: the run's]")
@click.option("--ckpt", help="Checkpoint.  [default: the run's]")
@click.option("--tuned", is_flag=True, help="--ckpt is the run's checkpoint tuned to an image, as PTI makes.")
@click.option("--out", type=_FOLDER, help="Folder for codes and images.  [default: edits in the run folder]")
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def edit(context: click.Context, *, dry_run: bool, as_json: bool, run: Path, out: Path | None, **options: Any) -> None:
    """Move the codes of real images, or of seeds, along directions; write codes and images."""
    if dry_run:
        click.echo(describe_settings(context))
        return
    from stylegan2.commands.edit import EditOptions
    from stylegan2.commands.edit import edit as move
    from stylegan2.commands.ranges import parse_numbers

    typed = options.pop("seeds")
    seeds = parse_numbers(typed, option="--seeds") if typed else ()
    _print_paths(move(run, EditOptions(seeds=seeds, **options), out), as_json)


@settings_layers()
@cli.command(short_help="Write them for other programs.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(["npy", "rosinality", "json"]), required=True, help="For which programs.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder (npy) or file.  [default: in the run folder]")
@click.option("--ckpt", help="Checkpoint.  [default: the run's]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def export(context: click.Context, *, dry_run: bool, as_json: bool, run: Path, to: Any, **options: Any) -> None:
    """Write directions for other programs: arrays, rosinality's factor file, or JSON."""
    if dry_run:
        click.echo(describe_settings(context))
        return
    from stylegan2.commands.export import export as write

    _print_paths(write(run, to, **options), as_json)


@settings_layers()
@cli.command(short_help="Compare runs of methods or seeds.")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...", type=click.Path(path_type=Path))
@click.option("--seed", type=int, default=0, show_default=True, help="The image that walks.")
@click.option("--extent", type=float, default=3.0, show_default=True, help="Farthest step, standard deviations.")
@click.option("--steps", type=int, default=9, show_default=True, help="Frames of a walk, odd.")
@click.option("--truncation-psi", type=float, default=0.7, show_default=True)
@click.option("--ckpt", help="Checkpoint.  [default: the first run's]")
@click.option("--out", type=_FOLDER, help="Folder for page and pictures.  [default: comparison beside the first run]")
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def compare(context: click.Context, *, dry_run: bool, as_json: bool, runs: tuple[Path, ...], **options: Any) -> None:
    """Compare runs of several methods or seeds: scores, which direction is which, matched walks."""
    if dry_run:
        click.echo(describe_settings(context))
        return
    from stylegan2.commands.compare import compare as side_by_side
    from stylegan2.commands.pictures import PictureOptions

    pictures = PictureOptions(
        seeds=(options.pop("seed"),),
        extent=options.pop("extent"),
        num_steps=options.pop("steps"),
        truncation_psi=options.pop("truncation_psi"),
    )
    found, written = side_by_side(runs, pictures, **options)
    if as_json:
        click.echo(json.dumps({**found, "files": [str(path) for path in written]}, indent=2))
        return
    names = list(dict.fromkeys(name for row in found["runs"] for name in row["means"]))
    click.echo(f"{'run':>24}  " + "  ".join(f"{name.replace('_', ' '):>10}" for name in (*names, "matched")))
    for place, row in enumerate(found["runs"]):
        cells = [*(row["means"].get(name) for name in names), row["images"]["mean"] if place else None]
        click.echo(f"{row['run']:>24}  " + "  ".join(map(_cell, cells)))
    _print_paths(written, as_json=False)


@settings_layers()
@cli.command(short_help="Score them, against truth where it is known.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--factors", type=click.Path(path_type=Path), help="Network that reads the factors.  [default: packaged]")
@click.option("--truth/--no-truth", default=None, help="Score against known factors.  [default: where they are known]")
@click.option(
    "--reconstructor/--no-reconstructor", default=True, show_default=True, help="Can a network tell them apart?"
)
@click.option("--protocol", is_flag=True, help="Also an encoder's MIG, DCI and FactorVAE score on scenes (minutes).")
@click.option("--agree-with", type=_FOLDER, multiple=True, metavar="RUN", help="Runs of other seeds; may be repeated.")
@click.option("--ckpt", help="Checkpoint.  [default: the run's]")
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def score(context: click.Context, *, dry_run: bool, as_json: bool, run: Path, **options: Any) -> None:
    """Score the directions of a run anew, and order them: RTD, effect, truth where known, other seeds."""
    if dry_run:
        click.echo(describe_settings(context))
        return
    from stylegan2.commands.score import ScoreOptions
    from stylegan2.commands.score import score as judge
    from stylegan2.commands.summary import summary

    directions, written = judge(run, ScoreOptions(labelled=_scenes() if options.pop("protocol") else None, **options))
    _print_directions(directions, [] if not as_json else written, as_json)
    if not as_json:
        for heading, text in summary(directions.metadata["scores"]).items():
            click.echo(f"{heading:>17}: {text}")
        _print_paths(written, as_json=False)


def _scenes() -> Any:
    """Labelled scenes, which only the VAE half can draw."""
    from ganspace_topdis.evaluation.protocol import Labelled
    from vae.data import scenes

    return Labelled(scenes.draw, scenes.SIZES)


@settings_layers()
@cli.command(short_help="Score codes against factors, both in files.")
@click.option("--codes", help="File of the codes, (N, D): .npy, .npz, .csv or .parquet.")
@click.option("--factors", help="File of the factors, (N, K).")
@click.option("--test-codes", help="More codes, for metrics that learn.  [default: a third of --codes]")
@click.option("--test-factors", help="Their factors.")
@click.option("--metrics", help="Names, separated by commas: mig,dci.  [default: all]")
@click.option("--compare", nargs=2, metavar="A B", help="Instead of --codes: two files of the same examples.")
@click.option("--udr", multiple=True, help="Instead of --codes, one per model: agreement, without factors.")
@click.option("--resamples", type=int, default=50, show_default=True, help="Of --compare's intervals.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of every draw.")
@click.option("--out", type=_FILE, help="Write a page here (.html).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def metrics(context: click.Context, *, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Score any representation by every disentanglement metric, or compare two of the same examples.

    A factor is discrete if all its values are whole numbers or text, else continuous; an empty label is missing.

    \b
    topdis-gan metrics --codes codes.npy --factors factors.npy --out page.html
    topdis-gan metrics --compare a.npy b.npy --factors factors.csv --metrics mig,infomec
    """
    if dry_run:
        click.echo(describe_settings(context))
        return
    from ganspace_topdis.commands import metrics as command

    names = options.pop("metrics")
    chosen = None if names is None else tuple(name.strip() for name in names.split(",") if name.strip())
    settings = command.Options(**{**options, "compare": options["compare"] or None}, metrics=chosen)
    record = command.run(settings)
    click.echo(json.dumps(record, indent=2) if as_json else command.to_text(record, settings))


@settings_layers()
@cli.command(short_help="Print the topological divergence of clouds of points.")
@click.argument("x", type=click.Path(path_type=Path))
@click.argument("y", type=click.Path(path_type=Path))
@click.argument("others", nargs=-1, type=click.Path(path_type=Path))
@click.option("--scores", default="rtd", show_default=True, help="rtd, rtd-lite, srtd, srtd-lite, nts-e, nts-m.")
@click.option("--trials", type=int, default=10, show_default=True, help="Random subsets.")
@click.option("--batch", type=int, default=500, show_default=True, help="Points of a subset.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--plot", type=_FILE, help="Draw the barcode, or the heat map of several files, here (.png).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def rtd(context: click.Context, *, dry_run: bool, as_json: bool, scores: str, **options: Any) -> None:
    """Print the RTD of clouds in .npy files, whose rows correspond: of two, or of every pair of several.

    \b
    topdis-gan rtd x.npy y.npy --plot bars.png
    topdis-gan rtd layer1.npy layer2.npy layer3.npy --scores srtd,nts-m --plot layers.png
    """
    if dry_run:
        click.echo(describe_settings(context))
        return
    from ganspace_topdis.commands import rtd as command

    names = tuple(name.strip() for name in scores.split(",") if name.strip())
    settings = command.Options(**options, scores=names)
    record = command.run(settings)
    click.echo(json.dumps(record, indent=2) if as_json else command.to_text(record, settings))


@cli.command(short_help="Say what a checkpoint is.")
@click.argument("ckpt")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def inspect(ckpt: str, as_json: bool) -> None:
    """Say what a checkpoint is: format, sizes, layers, and what was inferred. Nothing in it is executed."""
    from stylegan2.conversion import inspect as look

    facts = look(ckpt)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):>19}  {value}")


@cli.command(short_help="Write a checkpoint in another format.")
@click.argument("ckpt")
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--to", "kind", type=click.Choice(["safetensors", "rosinality"]), default="safetensors", show_default=True
)
@click.option("--half", is_flag=True, help="Store in half precision (safetensors).")
def convert(ckpt: str, out: Path, kind: str, half: bool) -> None:
    """Write the generator of any checkpoint as safetensors, or in rosinality's layout."""
    from stylegan2.conversion import convert as write

    click.echo(write(ckpt, out, to=kind, half=half))


def _discover_options(options: dict[str, Any]) -> Any:
    from ganspace_topdis.discovery.settings import DiscoverySettings
    from stylegan2.commands.discover import DiscoverOptions
    from stylegan2.commands.pictures import PictureOptions
    from stylegan2.commands.ranges import parse_features, parse_numbers

    names = (
        "num_directions span steps batch_size shift shift_law final_shift directions_per_step divergence per_effect "
        "learning_rate num_span_codes seed micro_batch precision compile"
    )
    method = options["method"]
    return DiscoverOptions(
        ckpt=options["ckpt"],
        closed_form=None if method in _SEARCHES else method,
        refine=options["refine"],
        features=parse_features(options["features"]),
        layers=options["layers"],
        label=options["label"],
        space=options["space"],
        noise_mode=options["noise"],
        search_psi=options["search_psi"],
        search=DiscoverySettings(
            method=method if method in _SEARCHES else "topdis",
            variant=options["rtd_variant"],
            **{name: options[name] for name in names.split()},
        ),
        pictures=PictureOptions(
            seeds=parse_numbers(options["picture_seeds"], option="--picture-seeds"),
            extent=options["extent"],
            num_steps=options["frames"],
            truncation_psi=options["truncation_psi"],
            truncation_cutoff=options["truncation_cutoff"],
            num_mixed=options["mix"],
        ),
        names=options["names"],
        device=options["device"],
    )


def _print_directions(directions: "Directions", written: Sequence[Path], as_json: bool) -> None:
    table = directions.score_table()
    if as_json:
        click.echo(json.dumps({**table, "files": [str(path) for path in written]}, indent=2))
        return
    columns = ["factor", "share", "spearman", "recognised", "agreement", "score", "rtd_before", "rtd_after", "effect"]
    shown = [name for name in columns if any(name in row for row in table["directions"])]
    click.echo("direction  " + "  ".join(f"{name.replace('_', ' '):>10}" for name in shown))
    for row in table["directions"]:
        click.echo(f"{row['index']:>9}  " + "  ".join(_cell(row.get(name)) for name in shown))
    _print_paths(written, as_json)


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value if value is not None else "")
    return f"{text:>10}"


def _print_paths(paths: Sequence[Path], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"files": [str(path) for path in paths]}, indent=2))
        return
    for path in paths:
        click.echo(path)


for _command in VAE_COMMANDS:
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    warnings.showwarning = _show_warning
    if is_follower():
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  (for the rest of this process)
    try:
        sys.exit(cli.main(args=None if arguments is None else list(arguments), standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except TopdisError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"warning: {message}", err=True)


if __name__ == "__main__":
    main()
