"""The commands of the VAE half: options and one call each. No torch is imported before a command runs."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from ganspace_topdis.runs.settings import describe_settings, settings_layers
from vae.training.presets import PRESETS

__all__ = ["COMMANDS"]

_FOLDER = click.Path(file_okay=False, path_type=Path)
_TRAIN_METHODS = ["vae", "beta-vae", "annealed-vae", "factor-vae", "beta-tcvae", "control-vae", "dava"]
_TRAIN_METHODS += ["dip-vae-1", "dip-vae-2"]


@settings_layers(presets=PRESETS)
@click.command("train-vae", short_help="Train an autoencoder, with or without TopDis.")
@click.option("--data", default="dsprites", show_default=True, help="Data set; `topdis-gan data list` shows them.")
@click.option("--data-root", type=click.Path(path_type=Path), help="The data set's file or folder.")
@click.option("--out", type=_FOLDER, help="Run folder.  [default: runs/DATA-METHOD[-topdis]-SEED]")
@click.option("--method", type=click.Choice(_TRAIN_METHODS), default="beta-vae", show_default=True)
@click.option(
    "--network",
    type=click.Choice(["narrow", "wide", "wide-norm", "burgess", "locatello", "fc"]),
    default="narrow",
    show_default=True,
)
@click.option("--width", type=float, default=1.0, show_default=True, help="Multiplies the hidden layers' sizes.")
@click.option("--initial-weights", type=click.Choice(["kaiming", "normal", "torch"]), default="kaiming")
@click.option("--num-latents", type=int, default=10, show_default=True)
@click.option("--likelihood", type=click.Choice(["bernoulli", "gaussian"]), default="bernoulli", show_default=True)
@click.option("--steps", type=int, default=300_000, show_default=True, help="Optimisation steps.")
@click.option("--batch-size", type=int, default=64, show_default=True, help="Images a step.")
@click.option("--learning-rate", type=float, default=1e-4, show_default=True)
@click.option("--max-grad-norm", type=float, help="Clip the gradient to this norm.  [default: 1 for dava, else never]")
@click.option("--ramp-steps", type=int, default=0, show_default=True, help="Steps in which the penalty grows from 0.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--log-every", type=int, default=100, show_default=True, help="Steps a line of metrics.jsonl.")
@click.option("--beta", type=float, help="beta-vae: of KL [4]; beta-tcvae: of the total correlation [6].")
@click.option(
    "--gamma", type=float, help="annealed-vae [1000], dava [500]: of the distance to C; factor-vae [6.4]: of TC."
)
@click.option("--capacity", type=float, help="Final C, nats: annealed-vae [25], control-vae [18], dava (a latent) [8].")
@click.option("--capacity-steps", type=int, help="annealed-vae: steps until C is reached [100000].")
@click.option("--capacity-start", type=float, help="control-vae: first C [0.5].")
@click.option("--capacity-increase", type=float, help="control-vae: rise of C [0.15].")
@click.option("--capacity-every", type=int, help="control-vae: steps between rises [5000].")
@click.option("--kp", type=float, help="control-vae: proportional gain [0.01].")
@click.option("--ki", type=float, help="control-vae: integral gain, negative [-0.001].")
@click.option("--floor", type=float, help="control-vae: lowest beta [1].")
@click.option("--estimator", type=click.Choice(["mss", "mws", "minibatch"]), help="beta-tcvae: of TC [mss].")
@click.option("--permute", type=click.Choice(["second", "same"]), help="factor-vae: whose codes are permuted [second].")
@click.option("--discriminator-rate", type=float, help="factor-vae: learning rate [the autoencoder's].")
@click.option("--discriminator-width", type=int, help="factor-vae: hidden size [1000]; dava: first channels [32].")
@click.option("--lambda-offdiagonal", type=float, help="dip-vae-1, dip-vae-2: of covariances [5].")
@click.option("--lambda-diagonal", type=float, help="dip-vae-1 [50], dip-vae-2 [5]: of variances.")
@click.option("--horizon", type=int, help="dava: images until C is highest [12800000].")
@click.option("--encoder-weight", type=float, help="dava: of the adversary in the encoder [0.3].")
@click.option("--decoder-weight", type=float, help="dava: of the adversary in the decoder [0.001].")
@click.option("--smoothing", type=float, help="dava: of the discriminator's targets [0.6].")
@click.option("--carry-gradients/--no-carry-gradients", default=None, help="dava: into its second step [carry].")
@click.option("--topdis", type=float, metavar="GAMMA", help="Weight of the TopDis term.  [default: without]")
@click.option("--topdis-delay", type=int, help="Steps before it sets in [0].")
@click.option(
    "--topdis-loss",
    type=click.Choice(["rtd", "rtd-lite", "l2", "mmd", "chamfer"]),
    help="Between the clouds [rtd]; the last three know no topology, to compare with.",
)
@click.option("--topdis-p", type=float, help="Power of the bars' lengths [1].")
@click.option("--shift", type=float, help="C of the shift [0.125].")
@click.option("--topdis-codes", type=click.Choice(["sample", "mean"]), help="What is shifted [sample].")
@click.option("--topdis-choice", type=click.Choice(["weighted", "uniform"]), help="How the latent is drawn [weighted].")
@click.option("--topdis-batch", type=click.Choice(["second", "same"]), help="Whose codes are shifted [second].")
@click.option("--topdis-points", type=int, help="Points of a cloud at most [the batch].")
@click.option(
    "--orthogonalize",
    type=click.Choice(["none", "reconstruction", "all"]),
    help="Terms that TopDis may not work against [reconstruction].",
)
@click.option("--topdis-features", type=click.Choice(["pixels", "logits", "pooled"]), help="What is compared [pixels].")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--precision", type=click.Choice(["float32", "bf16"]), default="float32", show_default=True)
@click.option(
    "--compile",
    "compiled",
    type=click.Choice(["none", "default", "cuda-graphs"]),
    default="none",
    show_default=True,
    help="Compile the networks.",
)
@click.option("--resident", is_flag=True, help="Put the whole data set on the device.")
@click.option("--tensorboard", is_flag=True, help="Write the log for TensorBoard too.")
@click.option("--checkpoint-every-s", type=float, default=60.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def train_vae(context: click.Context, *, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Train a disentanglement VAE, with or without TopDis; the same command goes on where it was stopped.

    Options of one method name it, with their defaults in brackets.
    """
    if dry_run:
        click.echo(describe_settings(context))
        return
    from vae.training.command import train_from_options

    run = train_from_options(options)
    click.echo(json.dumps({"run": str(run)}) if as_json else run)


@click.group(short_help="List, fetch, check and draw data sets.")
def data() -> None:
    """Data sets: what there is, where it comes from, whether it is whole."""


@data.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def data_list(*, as_json: bool) -> None:
    """List the data sets."""
    from vae.data.commands import list_sets
    from vae.data.tables import list_text

    records = list_sets()
    click.echo(json.dumps({"sets": records}, indent=2) if as_json else list_text(records))


@data.command("info")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def data_info(*, name: str, as_json: bool) -> None:
    """Tell all that is known of a data set: factors, licence, source, sums, place."""
    from vae.data.commands import describe_set
    from vae.data.tables import info_text

    record = describe_set(name)
    click.echo(json.dumps(record, indent=2) if as_json else info_text(record))


@data.command("fetch")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def data_fetch(*, name: str, as_json: bool) -> None:
    """Download a data set into the cache and check its sums."""
    from ganspace_topdis.runs.progress import ProgressReporter
    from vae.data.commands import fetch_set

    paths = [str(path) for path in fetch_set(name, ProgressReporter)]
    click.echo(json.dumps({"files": paths}, indent=2) if as_json else "\n".join(paths))


@data.command("check")
@click.argument("name")
@click.argument("root", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def data_check(context: click.Context, *, name: str, root: Path | None, as_json: bool) -> None:
    """Compare a data set's files with the published sums, and read it.

    ROOT is its file, or the folder that holds its files; without it the cache and TOPDIS_DATA are searched. Leaves
    with 1 when a file is another one.
    """
    from ganspace_topdis.runs.progress import ProgressReporter
    from vae.data.commands import check_set
    from vae.data.tables import check_text

    record = check_set(name, root, ProgressReporter)
    click.echo(json.dumps(record, indent=2) if as_json else check_text(record))
    context.exit(0 if record["good"] else 1)


@data.command("sheet")
@click.argument("name")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="PNG file.  [default: NAME.png]")
@click.option("--data-root", type=click.Path(path_type=Path), help="The data set's file or folder.")
@click.option("--columns", type=click.IntRange(2, 64), default=12, show_default=True, help="Images a row.")
@click.option("--cell", type=click.IntRange(16, 512), default=64, show_default=True, help="Width of an image, px.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the images that are varied.")
def data_sheet(*, name: str, out: Path | None, data_root: Path | None, columns: int, cell: int, seed: int) -> None:
    """Draw a contact sheet of a data set: a row a factor, its values from left to right."""
    from ganspace_topdis.runs.files import write_bytes
    from ganspace_topdis.runs.progress import ProgressReporter
    from ganspace_topdis.traversal.grid import encode_png
    from vae.data import open_data
    from vae.data.sheet import contact_sheet

    opened = open_data(name, root=data_root, progress=ProgressReporter(f"unpack {name}"))
    sheet = contact_sheet(opened, num_columns=columns, cell_px=cell, seed=seed)
    click.echo(write_bytes(out or Path(f"{name.partition(':')[0]}.png"), encode_png(sheet)))


@settings_layers()
@click.command("evaluate-vae", short_help="Score a trained one by every metric.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--metrics", help="Groups, separated by commas: mig,dci.  [default: all that the data set allows]")
@click.option("--max-images", type=int, help="Thin the grid that is encoded to so many images.  [default: all of it]")
@click.option("--num-reconstructed", type=int, default=5000, show_default=True, help="Images for the error.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the metrics' draws.")
@click.option("--jobs", type=int, help="Threads of the boosted trees.  [default: one a processor]")
@click.option("--pictures/--no-pictures", default=True, show_default=True, help="Draw traversals and the page.")
@click.option("--data-root", type=click.Path(path_type=Path), help="The data set's file or folder.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def evaluate_vae(context: click.Context, *, dry_run: bool, as_json: bool, run: Path, **options: Any) -> None:
    """Score a run of train-vae by every metric; draw its traversals and a page."""
    if dry_run:
        click.echo(describe_settings(context))
        return
    from vae.evaluation.command import evaluate_from_options, evaluation_text

    evaluation = evaluate_from_options(run, options)
    click.echo(json.dumps(evaluation, indent=2) if as_json else evaluation_text(run, evaluation))


@settings_layers()
@click.command(short_help="Train and evaluate a grid of settings and seeds.")
@click.argument("grid", metavar="PRESET|FILE.toml", required=False)
@click.option("--out", type=_FOLDER, help="Results folder.  [default: runs/suite-NAME]")
@click.option("--status", type=_FOLDER, metavar="DIR", help="Only show how the cells of these results stand.")
@click.option("--engine", type=click.Choice(["local", "ray", "dask"]), default="local", show_default=True)
@click.option("--address", help="Of the Ray or Dask cluster: 10.0.0.1:6379, auto, tcp://10.0.0.1:8786.")
@click.option("--jobs", type=int, help="Cells at once.  [default: as many as cores, shares of GPUs, or the cluster]")
@click.option("--threads", type=int, help="Threads of a cell.  [default: what leaves a core to one cell]")
@click.option("--gpus-per-cell", type=float, default=0.0, show_default=True, help="0.25: four cells share a GPU.")
@click.option("--device", default="auto", show_default=True, help="Of each cell: auto, cpu, cuda or mps.")
@click.option("--data-root", type=click.Path(path_type=Path), help="The data set's file or folder.")
@click.option("--resident", is_flag=True, help="Put the whole data set on the device.")
@click.option("--compile", "compiled", type=click.Choice(["none", "default", "cuda-graphs"]), default="none")
@click.option("--pictures/--no-pictures", default=True, show_default=True, help="Draw each cell's traversals and page.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def suite(context: click.Context, *, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Train and evaluate a grid of settings and seeds; the same command again fills what is missing.

    Presets: quick, paper-dsprites, paper-3dshapes, paper-mpi3d, paper-3dfaces, celeba, correlated, ablation-gamma,
    ablation-shift, ablation-orthogonal, control-losses. --dry-run counts the cells and times a few steps of each.
    """
    grid, out, status = (options.pop(name) for name in ("grid", "out", "status"))
    if (grid is None) == (status is None):
        raise click.UsageError("give either a preset or a TOML file, or --status with a results folder, not both")
    from vae.suite import command

    if status is not None:
        live = not as_json and sys.stdout.isatty()
        stands = command.show_status(status, lambda text: None if as_json else click.echo(text), live=live)
    elif dry_run:
        click.echo(command.estimate_suite(grid, options))
        return
    else:
        out = out or Path("runs") / f"suite-{Path(grid).stem}"
        stands = command.run_from_options(grid, out, options)
        if not as_json:
            click.echo(out)
    if as_json:
        click.echo(json.dumps(stands, indent=2))


@settings_layers()
@click.command(short_help="Write the tables and plots of a suite.")
@click.argument("results", type=_FOLDER)
@click.option("--out", type=_FOLDER, help="Where to write.  [default: report in the results folder]")
@click.option("--against", type=_FOLDER, metavar="DIR", help="Other results to set beside these.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def report(
    context: click.Context, *, dry_run: bool, as_json: bool, results: Path, out: Path | None, against: Path | None
) -> None:
    """Write the tables and plots of a suite's results: HTML, Markdown, CSV, LaTeX and PNG."""
    if dry_run:
        click.echo(describe_settings(context))
        return
    from vae.suite.command import write_suite_report

    written = [str(path) for path in write_suite_report(results, out, against)]
    click.echo(json.dumps({"files": written}, indent=2) if as_json else "\n".join(written))


COMMANDS: tuple[click.Command, ...] = (train_vae, data, evaluate_vae, suite, report)
"""What `cli` adds to its group."""
