"""What `topdis-gan evaluate-vae` does, from options as they were typed, and what it prints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganspace_topdis.traversal.labels import format_number
from vae.evaluation.metrics import METRICS
from vae.evaluation.network import EvaluationSettings
from vae.evaluation.run import EVALUATION, evaluate

__all__ = ["evaluate_from_options", "evaluation_text"]

_SETTINGS = ("max_images", "num_reconstructed", "seed")
_SHOWN_SHARES = 3


def evaluate_from_options(run: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate a run.

    Raises:
        InvalidArgumentError: an option's value is not allowed.
        TopdisError: see `evaluate`.
    """
    metrics = options["metrics"]
    groups = None if metrics is None else tuple(name.strip() for name in metrics.split(",") if name.strip())
    settings = EvaluationSettings(metrics=groups, **{name: options[name] for name in _SETTINGS})
    return evaluate(
        run,
        settings,
        device=options["device"],
        data_root=options["data_root"],
        jobs=options["jobs"],
        pictures=options["pictures"],
    )


def evaluation_text(run: Path, evaluation: Mapping[str, Any]) -> str:
    """Scores, latents and files, for people."""
    scores = [
        f"{metric.name:>34}  {format_number(evaluation['scores'][metric.key], num_digits=3)}"
        for metric in METRICS
        if metric.key in evaluation["scores"]
    ]
    latents = [_latent_text(latent) for latent in evaluation["latents"] if latent["live"]]
    files = [str(run / name) for name in (EVALUATION, *evaluation["files"][:2])]
    return "\n".join([*scores, "", *latents, "", *files])


def _latent_text(latent: Mapping[str, Any]) -> str:
    """A latent, with the factors that it tells most of and how much of their entropy."""
    best = sorted(latent["shares"].items(), key=lambda item: -item[1])[:_SHOWN_SHARES]
    told = ", ".join(f"{name} {share:.2f}" for name, share in best)
    return f"latent {latent['index']:>3}  KL {latent['kl']:.2f} nats  {told}".rstrip()
