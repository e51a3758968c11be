"""Evaluate a trained run and write scores, pictures and a page into its folder.

    evaluation.json                   scores, latents, what was evaluated
    report.html                       the page of the run
    explorer.html, traversals/ ...    see vae.evaluation.pictures

An existing evaluation of the same step with the same settings is returned as it is.
"""

import contextlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ganspace_topdis import __version__
from ganspace_topdis.runs.devices import choose_device
from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.runs.reading import read_json
from ganspace_topdis.runs.records import read_metrics
from vae.data import open_data
from vae.evaluation.measure import Measurement, measure
from vae.evaluation.metrics import EvaluationSettings
from vae.evaluation.page import write_run_page
from vae.evaluation.pictures import draw_latents
from vae.training.run import TrainedModel, load_trained

__all__ = ["EVALUATION", "evaluate", "read_evaluation"]

EVALUATION = "evaluation.json"


def evaluate(
    run_folder: str | os.PathLike[str],
    settings: EvaluationSettings | None = None,
    *,
    device: str = "auto",
    data_root: Path | None = None,
    verify: bool = True,
    jobs: int | None = None,
    pictures: bool = True,
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

    Raises:
        InvalidArgumentError: a metric needs factors that the data set lacks, or the codes are not finite.
        RunFolderError: there is no run, it has no checkpoint yet, or the folder is not writable.
    """
    folder, settings = Path(run_folder), settings or EvaluationSettings()
    trained = load_trained(folder, choose_device(device))
    request = {"step": trained.step, **_plain(asdict(settings)), "version": __version__}
    before = read_evaluation(folder)
    if before is not None and before["request"] == request and (before["files"] or not pictures):
        return before
    with ProgressReporter("data, images") as progress:
        data = open_data(trained.settings.data, root=data_root, verify=verify, progress=progress)
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
        live = [latent for latent in measured.latents if latent.live]
        title = _title(trained)
        written = draw_latents(folder, trained.model, data, live, seed=settings.seed, title=title)
        overview = folder / "traversals" / "overview.png"
        page = _write_page(folder, trained, measured, title, overview if overview in written else None)
        evaluation["files"] = [str(path.relative_to(folder)) for path in [page, *written]]
    write_json(folder / EVALUATION, evaluation)
    return evaluation


def read_evaluation(run_folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return the contents of evaluation.json; None if it is missing, damaged or of another program."""
    with contextlib.suppress(OSError, ValueError):
        found = read_json(Path(run_folder) / EVALUATION)
        if isinstance(found, dict) and {"request", "scores", "files", "device"} <= found.keys():
            return found
    return None


def _write_page(folder: Path, trained: TrainedModel, measured: Measurement, title: str, overview: Path | None) -> Path:
    log: list[dict[str, Any]] = []
    with contextlib.suppress(OSError, ValueError):
        log = read_metrics(folder / "metrics.jsonl")
    return write_run_page(
        folder / "report.html",
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
