"""The declarations of the VAE commands: options, and one call each. No torch is imported before a command runs."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import click

from ganspace_topdis.runs.settings import describe_settings, settings_layers
from vae.presets import PRESETS
from vae.settings import (
    METHOD_OPTIONS,
    CloudLoss,
    Compiled,
    Estimator,
    Features,
    InitialWeights,
    Likelihood,
    Network,
    Orthogonalization,
    Precision,
)

__all__ = ["COMMANDS"]

_FOLDER = click.Path(file_okay=False, path_type=Path)
_PATH = click.Path(path_type=Path)


def _choice(kind: Any) -> click.Choice:
    return click.Choice(list(get_args(kind)))


def _print(
    record: dict[str, Any],
    to_text: Callable[[Mapping[str, Any], Mapping[str, Any]], str],
    options: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    click.echo(json.dumps(record, indent=2) if as_json else to_text(record, options))


@settings_layers(presets=PRESETS)
@click.command("train-vae", short_help="Train an autoencoder, with or without TopDis.")
@click.option("--data", default="dsprites", show_default=True, help="Data set; `topdis-gan data list` lists them.")
@click.option("--data-root", type=_PATH, help="File or folder of the data set.")
@click.option("--verify/--no-verify", default=True, show_default=True, help="Compare data files with checksums.")
@click.option("--out", type=_FOLDER, help="Run folder.  [default: runs/DATA-METHOD[-topdis]-SEED]")
@click.option("--method", type=click.Choice(list(METHOD_OPTIONS)), default="beta-vae", show_default=True)
@click.option("--network", type=_choice(Network), default="narrow", show_default=True)
@click.option("--width", type=float, default=1.0, show_default=True, help="Factor on the sizes of the hidden layers.")
@click.option("--initial-weights", type=_choice(InitialWeights), default="kaiming", show_default=True)
@click.option("--num-latents", type=int, default=10, show_default=True)
@click.option("--likelihood", type=_choice(Likelihood), default="bernoulli", show_default=True)
@click.option("--steps", type=int, default=300_000, show_default=True, help="Optimization steps.")
@click.option("--batch-size", type=int, default=64, show_default=True, help="Images per step.")
@click.option("--learning-rate", type=float, default=1e-4, show_default=True)
@click.option("--max-grad-norm", type=float, help="Maximum norm of the gradient.  [default: 1 for dava, else no limit]")
@click.option("--ramp-steps", type=int, default=0, show_default=True, help="Steps over which the penalty grows from 0.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--log-every", type=int, default=100, show_default=True, help="Steps per line of metrics.jsonl.")
@click.option("--beta", type=float, help="beta-vae: weight of KL [4]; beta-tcvae: weight of the total correlation [6].")
@click.option(
    "--gamma", type=float, help="Weight of |KL - C| in annealed-vae [1000] and dava [500], of TC in factor-vae [6.4]."
)
@click.option(
    "--capacity", type=float, help="Final C, nats: annealed-vae [25], control-vae [18], dava (per latent) [8]."
)
@click.option("--capacity-steps", type=int, help="annealed-vae: steps until C is reached [100000].")
@click.option("--capacity-start", type=float, help="control-vae: first C [0.5].")
@click.option("--capacity-increase", type=float, help="control-vae: increment of C [0.15].")
@click.option("--capacity-every", type=int, help="control-vae: steps between increments [5000].")
@click.option("--kp", type=float, help="control-vae: proportional gain [0.01].")
@click.option("--ki", type=float, help="control-vae: integral gain, negative [-0.001].")
@click.option("--floor", type=float, help="control-vae: lower bound of beta [1].")
@click.option("--estimator", type=_choice(Estimator), help="beta-tcvae: estimator of TC [mss].")
@click.option("--permute", type=click.Choice(["second", "same"]), help="factor-vae: batch to permute [second].")
@click.option(
    "--discriminator-rate", type=float, help="factor-vae: the discriminator's learning rate [the autoencoder's]."
)
@click.option("--discriminator-layers", type=int, help="factor-vae: number of hidden layers [5].")
@click.option("--discriminator-weights", type=_choice(InitialWeights), help="factor-vae: initial weights [torch].")
@click.option(
    "--ramp", type=click.Choice(["penalty", "tc", "kl"]), help="factor-vae, beta-tcvae: what --ramp-steps ramps."
)
@click.option("--discriminator-width", type=int, help="factor-vae: hidden size [1000]; dava: first channels [32].")
@click.option("--lambda-offdiagonal", type=float, help="dip-vae-1, dip-vae-2: weight of the covariances [5].")
@click.option("--lambda-diagonal", type=float, help="Weight of the variances: dip-vae-1 [50], dip-vae-2 [5].")
@click.option("--horizon", type=int, help="dava: images until C is highest [12800000].")
@click.option("--encoder-weight", type=float, help="dava: adversarial weight of the encoder [0.3].")
@click.option("--decoder-weight", type=float, help="dava: adversarial weight of the decoder [0.001].")
@click.option("--smoothing", type=float, help="dava: noise on the discriminator's targets [0.6].")
@click.option(
    "--carry-gradients/--no-carry-gradients", default=None, help="dava: keep gradients for the second step [carry]."
)
@click.option("--topdis", type=float, metavar="GAMMA", help="Weight of the TopDis loss.  [default: without it]")
@click.option("--topdis-delay", type=int, help="Steps before the loss is added [0].")
@click.option(
    "--topdis-as",
    "topdis_version",
    type=click.Choice(["corrected", "released"]),
    help="released: as in the paper's code, on the same batch, without orthogonalization [corrected].",
)
@click.option("--topdis-loss", type=_choice(CloudLoss), help="Divergence; the last three ignore topology [rtd].")
@click.option("--topdis-p", type=float, help="Power of the bar lengths [1].")
@click.option("--shift", type=float, help="C of the shift [0.125].")
@click.option("--topdis-codes", type=click.Choice(["sample", "mean"]), help="What is shifted [sample].")
@click.option("--topdis-choice", type=click.Choice(["weighted", "uniform"]), help="How a latent is drawn [weighted].")
@click.option("--topdis-batch", type=click.Choice(["second", "same"]), help="Batch of the shifted codes [second].")
@click.option("--topdis-points", type=int, help="Maximum number of points per cloud [the batch].")
@click.option(
    "--orthogonalize", type=_choice(Orthogonalization), help="Terms that TopDis must not oppose [reconstruction]."
)
@click.option("--topdis-features", type=_choice(Features), help="What is compared [pixels].")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--precision", type=_choice(Precision), default="float32", show_default=True)
@click.option(
    "--compile", "compiled", type=_choice(Compiled), default="none", show_default=True, help="Compile the networks."
)
@click.option("--resident", is_flag=True, help="Copy the whole data set to the device.")
@click.option("--tensorboard", is_flag=True, help="Also write the log for TensorBoard.")
@click.option("--checkpoint-every-s", type=float, default=60.0, show_default=True, help="Seconds between checkpoints.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def train_vae(context: click.Context, *, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Train a disentanglement VAE, with or without TopDis; the same command resumes a stopped run.

    The help of an option that belongs to one method names the method, with the default in brackets.
    """
    if dry_run:
        click.echo(describe_settings(context))
        return
    from vae.commands import train_vae as command

    _print(command.execute(options), command.to_text, options, as_json=as_json)


@click.group(short_help="List, fetch, check and draw data sets.")
def data() -> None:
    """Data sets: which exist, where they come from, and whether their files are intact."""


@data.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def data_list(*, as_json: bool) -> None:
    """List the data sets."""
    from vae.commands import data as command

    _print(command.list_sets({}), command.list_text, {}, as_json=as_json)


@data.command("info")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def data_info(*, as_json: bool, **options: Any) -> None:
    """Describe a data set: factors, license, source, checksums, path."""
    from vae.commands import data as command

    _print(command.describe_set(options), command.describe_text, options, as_json=as_json)


@data.command("fetch")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def data_fetch(*, as_json: bool, **options: Any) -> None:
    """Download a data set into the cache and verify its checksums."""
    from vae.commands import data as command

    _print(command.fetch_set(options), command.fetch_text, options, as_json=as_json)


@data.command("check")
@click.argument("name")
@click.argument("root", type=_PATH, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def data_check(context: click.Context, *, as_json: bool, **options: Any) -> None:
    """Compare the files of a data set with their published checksums, and read it.

    ROOT is its file, or the folder that holds its files; by default TOPDIS_DATA and the cache are searched. Exits
    with 1 on a checksum mismatch.
    """
    from vae.commands import data as command

    record = command.check_set(options)
    _print(record, command.check_text, options, as_json=as_json)
    context.exit(0 if record["good"] else 1)


@data.command("sheet")
@click.argument("name")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="PNG file.  [default: NAME.png]")
@click.option("--data-root", type=_PATH, help="File or folder of the data set.")
@click.option("--verify/--no-verify", default=True, show_default=True, help="Compare data files with checksums.")
@click.option("--columns", type=click.IntRange(2, 64), default=12, show_default=True, help="Images per row.")
@click.option("--cell", type=click.IntRange(16, 512), default=64, show_default=True, help="Width of an image, px.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the images that are varied.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def data_sheet(*, as_json: bool, **options: Any) -> None:
    """Draw a contact sheet of a data set: one row per factor, its values from left to right."""
    from vae.commands import data as command

    _print(command.write_sheet(options), command.sheet_text, options, as_json=as_json)


@settings_layers()
@click.command("evaluate-vae", short_help="Score a trained autoencoder by every metric.")
@click.argument("run", type=_PATH)
@click.option("--metrics", help="Metric groups, such as mig,dci.  [default: all that the data set supports]")
@click.option("--max-images", type=int, help="Thin the encoded grid to at most this many images.  [default: all of it]")
@click.option(
    "--num-reconstructed", type=int, default=5000, show_default=True, help="Images for the reconstruction error."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the metrics' draws.")
@click.option("--jobs", type=int, help="Threads of the boosted trees.  [default: one per processor]")
@click.option("--pictures/--no-pictures", default=True, show_default=True, help="Draw traversals and the page.")
@click.option("--data-root", type=_PATH, help="File or folder of the data set.")
@click.option("--verify/--no-verify", default=True, show_default=True, help="Compare data files with checksums.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def evaluate_vae(context: click.Context, *, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Score a run of train-vae by every metric; draw its traversals and a page."""
    if dry_run:
        click.echo(describe_settings(context))
        return
    from vae.commands import evaluate_vae as command

    _print(command.execute(options), command.to_text, options, as_json=as_json)


@settings_layers()
@click.command(short_help="Train and evaluate a grid of settings and seeds.")
@click.argument("grid", metavar="PRESET|FILE.toml", required=False)
@click.option("--out", type=_FOLDER, help="Results folder.  [default: runs/suite-NAME]")
@click.option("--status", type=_FOLDER, metavar="DIR", help="Only show the progress of the suite in DIR.")
@click.option("--engine", type=click.Choice(["local", "ray", "dask"]), default="local", show_default=True)
@click.option("--address", help="Address of the Ray or Dask cluster: 10.0.0.1:6379, auto, tcp://10.0.0.1:8786.")
@click.option("--jobs", type=int, help="Cells at once.  [default: as many as cores, GPU shares, or the cluster allow]")
@click.option("--threads", type=int, help="Threads per cell.  [default: no core runs two cells]")
@click.option("--gpus-per-cell", type=float, default=0.0, show_default=True, help="0.25: four cells share a GPU.")
@click.option("--device", default="auto", show_default=True, help="Device of each cell: auto, cpu, cuda or mps.")
@click.option("--data-root", type=_PATH, help="File or folder of the data set.")
@click.option("--verify/--no-verify", default=True, show_default=True, help="Compare data files with checksums.")
@click.option("--resident", is_flag=True, help="Copy the whole data set to the device.")
@click.option("--compile", "compiled", type=_choice(Compiled), default="none", show_default=True)
@click.option("--pictures/--no-pictures", default=True, show_default=True, help="Draw each cell's traversals and page.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def suite(*, as_json: bool, **options: Any) -> None:
    """Train and evaluate a grid of settings and seeds; the same command runs what is missing.

    Presets: quick, paper-dsprites, paper-3dshapes, paper-mpi3d, paper-3dfaces, celeba, correlated, ablation-gamma,
    ablation-shift, ablation-orthogonal, control-losses. --dry-run counts the cells and times a few steps of each.
    """
    from vae.commands import suite as command

    options["live"] = not as_json and sys.stdout.isatty()
    _print(command.execute(options), command.to_text, options, as_json=as_json)


@settings_layers()
@click.command(short_help="Write the tables and plots of a suite.")
@click.argument("results", type=_FOLDER)
@click.option("--out", type=_FOLDER, help="Output folder.  [default: report in the results folder]")
@click.option("--against", type=_FOLDER, metavar="DIR", help="Other results to compare with.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def report(context: click.Context, *, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Write the tables and plots of a suite's results: HTML, Markdown, CSV, LaTeX and PNG."""
    if dry_run:
        click.echo(describe_settings(context))
        return
    from vae.commands import report as command

    _print(command.execute(options), command.to_text, options, as_json=as_json)


COMMANDS: tuple[click.Command, ...] = (train_vae, data, evaluate_vae, suite, report)
"""The commands that `cli` adds to its group."""
