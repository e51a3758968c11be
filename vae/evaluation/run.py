"""Evaluate a trained run and write scores, pictures and a page into its folder.

    evaluation.json                   scores, latents, what was evaluated
    report.html                       the page of the run
    explorer.html, traversals/ ...    see vae.evaluation.page

An existing evaluation of the same step with the same settings is returned as it is. `measure` evaluates a network
without touching files: encode the grid once -> draw the metrics' samples from it -> scores, latents, reconstruction
error.
"""

import contextlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganspace_topdis import __version__
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.devices import choose_device, torch_defaults
from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.runs.reading import read_json
from ganspace_topdis.runs.records import read_metrics
from vae.data import open_data
from vae.data.dataset import DataSet
from vae.encoding import Encoded, encode, encode_grid, reconstruction_errors, uniform_indices
from vae.evaluation.metrics import EvaluationSettings, groups_for
from vae.evaluation.page import draw_latents, write_run_page
from vae.evaluation.scores import NUM_TEST, NUM_TRAIN, Latent, Samples, describe_latents, score_all
from vae.networks.autoencoder import AutoEncoder
from vae.training.run import TrainedModel, load_trained

__all__ = ["EVALUATION", "Measurement", "draw_samples", "evaluate", "measure", "read_evaluation"]

EVALUATION = "evaluation.json"
_PAGE = "report.html"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The results of `measure`.

    Attributes:
        scores: metric -> number.
        latents: in order of decreasing KL divergence.
        grid_sizes: number of values of each factor in the encoded grid; () if the factors are unknown.
        train: the 10,000 points that the metrics were fitted on.
        duration_s: stage -> seconds.
    """

    scores: dict[str, float]
    latents: list[Latent]
    grid_sizes: tuple[int, ...]
    train: Encoded
    duration_s: dict[str, float]


def measure(model: AutoEncoder, data: DataSet, settings: EvaluationSettings, *, jobs: int | None = None) -> Measurement:
    """Measure `model` on `data`.

    Factors are drawn independently and uniformly, even for a correlated data set.

    Args:
        model: in evaluation mode, on its device.
        data: the data set.
        settings: what to measure.
        jobs: threads of the boosted trees, by default one per processor; the results do not depend on it.

    Raises:
        InvalidArgumentError: a metric that was asked for is undefined here, such as one that needs factors that `data`
            lacks, or the codes are not finite.
    """
    groups = groups_for(settings.metrics, has_factors=bool(data.factors))
    rng = np.random.default_rng(settings.seed)
    clock = _Clock()
    samples = draw_samples(model, data, settings, rng)
    clock.stop("encoding")
    with ProgressReporter("metrics") as progress:
        scores = score_all(
            samples, groups, seed=settings.seed, jobs=jobs, progress=progress, optional=settings.metrics is None
        )
    clock.stop("metrics")
    latents = describe_latents(samples.train, [factor.name for factor in data.factors])
    clock.stop("latents")
    indices = uniform_indices(data, settings.num_reconstructed, rng)
    scores |= reconstruction_errors(model, data, indices)
    scores["kl"] = sum(latent.kl for latent in latents)
    scores["live_latents"] = float(sum(latent.live for latent in latents))
    clock.stop("reconstruction")
    sizes = () if samples.grid is None else samples.grid.sizes
    return Measurement(
        scores=scores, latents=latents, grid_sizes=sizes, train=samples.train, duration_s=clock.durations_s
    )


def draw_samples(model: AutoEncoder, data: DataSet, settings: EvaluationSettings, rng: np.random.Generator) -> Samples:
    """Encode the grid, and samples: looked up in the grid if it has every image, else encoded separately."""
    with ProgressReporter("encoding") as progress:
        if not data.factors:
            sample = _encode_some(model, data, data.sample(NUM_TRAIN + NUM_TEST, rng))
            return _split(sample, None)
        grid = encode_grid(model, data, max_images=settings.max_images, progress=progress)
        if grid.sizes == data.factor_sizes and data.images_per_combination == 1:
            return _split(grid.take(rng.integers(len(grid.means), size=NUM_TRAIN + NUM_TEST)), grid)
        return _split(_encode_some(model, data, uniform_indices(data, NUM_TRAIN + NUM_TEST, rng)), grid)


def _encode_some(model: AutoEncoder, data: DataSet, indices: Any) -> Encoded:
    means, logvars = encode(model, data, indices)
    codes = data.codes(indices) if data.factors else np.zeros((len(indices), 0), np.int64)
    return Encoded(means=means, logvars=logvars, codes=codes)


def _split(sample: Encoded, grid: Encoded | None) -> Samples:
    rows = np.arange(NUM_TRAIN + NUM_TEST)
    return Samples(train=sample.take(rows[:NUM_TRAIN]), test=sample.take(rows[NUM_TRAIN:]), grid=grid)


class _Clock:
    """Records the seconds between calls of `stop`."""

    def __init__(self) -> None:
        self.durations_s: dict[str, float] = {}
        self._start_s = time.perf_counter()

    def stop(self, name: str) -> None:
        now_s = time.perf_counter()
        self.durations_s[name] = round(now_s - self._start_s, 3)
        self._start_s = now_s


@torch_defaults()
def evaluate(
    run_folder: str | os.PathLike[str],
    settings: EvaluationSettings | None = None,
    *,
    device: str = "auto",
    data_root: Path | None = None,
    verify: bool = True,
    jobs: int | None = None,
    pictures: bool = True,
    data: DataSet | None = None,
) -> dict[str, Any]:
    """Evaluate the newest checkpoint of a run of `train-vae`; return the contents of evaluation.json.

    Args:
        run_folder: the run, which may still be running.
        settings: what to measure.
        device: device for encoding and decoding.
        data_root: file or folder of the data set, unless it is procedural.
        verify: whether the data set's files are compared with their published checksums.
        jobs: threads of the boosted trees, by default one per processor.
        pictures: whether traversals and the page are drawn.
        data: the data set of the training, if it was passed to `train`; by default the one named in its settings.

    Raises:
        InvalidArgumentError: a metric needs factors that the data set lacks, the codes are not finite, or the data set
            is not that of the training.
        RunFolderError: there is no run, it has no checkpoint yet, or the folder is not writable.
    """
    folder, settings = Path(run_folder), settings or EvaluationSettings()
    trained = load_trained(folder, choose_device(device))
    request = {"step": trained.step, **_plain(asdict(settings)), "version": __version__}
    before = read_evaluation(folder)
    if before is not None and before["request"] == request and (not pictures or _are_drawn(folder, before["files"])):
        return before
    if data is None:
        with ProgressReporter("data, images") as progress:
            data = open_data(trained.settings.data, root=data_root, verify=verify, progress=progress)
    _require_same_data(data, trained)
    measured = measure(trained.model, data, settings, jobs=jobs)
    evaluation = {
        "request": request,
        "data": trained.settings.data,
        "device": str(next(trained.model.parameters()).device),
        "grid_sizes": list(measured.grid_sizes),
        "whole_grid": measured.grid_sizes == data.factor_sizes,
        "scores": measured.scores,
        "latents": [latent.as_dict() for latent in measured.latents],
        "duration_s": measured.duration_s,
        "files": [],
    }
    if pictures:
        evaluation["files"] = files = _draw(folder, trained, data, measured, settings.seed)
        _remove_others(folder, [] if before is None else before["files"], keep=files)
    elif before is not None:
        _remove_others(folder, [_PAGE], keep=[])  # it shows the scores of the earlier evaluation
    write_json(folder / EVALUATION, evaluation)
    return evaluation


def read_evaluation(run_folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return the contents of evaluation.json; None if it is missing, damaged or of another program."""
    with contextlib.suppress(OSError, ValueError):
        found = read_json(Path(run_folder) / EVALUATION)
        if isinstance(found, dict) and {"request", "scores", "files", "device"} <= found.keys():
            return found
    return None


def _are_drawn(folder: Path, files: Sequence[str]) -> bool:
    """Whether the pictures and the page were drawn, and are still there."""
    return bool(files) and all((folder / name).is_file() for name in files)


def _require_same_data(data: DataSet, trained: TrainedModel) -> None:
    if data.fingerprint != trained.data_fingerprint:
        raise InvalidArgumentError(
            f"the run was trained on other images than those of {data.name} here; give the same data set "
            "(`data_root`, or `data` in Python)",
            field="data_root",
        )


def _draw(folder: Path, trained: TrainedModel, data: DataSet, measured: Measurement, seed: int) -> list[str]:
    """Draw the traversals and write the page; return the files, relative to the folder."""
    live, title = [latent for latent in measured.latents if latent.live], _title(trained)
    written = draw_latents(folder, trained.model, data, live, seed=seed, title=title)
    overview = folder / "traversals" / "overview.png"
    page = _write_page(folder, trained, measured, title, overview if overview in written else None)
    return [str(path.relative_to(folder)) for path in [page, *written]]


def _remove_others(folder: Path, files: Sequence[str], *, keep: Sequence[str]) -> None:
    """Remove the pictures of an earlier evaluation that this one has not, as of latents that are no longer live."""
    for name in files:
        path = folder / name
        if name not in keep and path.resolve().is_relative_to(folder.resolve()):
            path.unlink(missing_ok=True)


def _write_page(folder: Path, trained: TrainedModel, measured: Measurement, title: str, overview: Path | None) -> Path:
    log: list[dict[str, Any]] = []
    with contextlib.suppress(OSError, ValueError):
        log = read_metrics(folder / "metrics.jsonl")
    return write_run_page(
        folder / _PAGE,
        title=title,
        facts={"trained steps": trained.step, **trained.settings.as_config()},
        scores=measured.scores,
        latents=measured.latents,
        log=log,
        overview=overview,
    )


def _title(trained: TrainedModel) -> str:
    settings = trained.settings
    topdis = "" if settings.topdis is None else f" with {settings.topdis.loss.upper()}"
    return f"{settings.method}{topdis} on {settings.data}, {trained.step} steps, seed {settings.seed}"


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(value))
    return plain
