"""`topdis-gan evaluate-vae`: score a trained run and print its scores and latents."""

from collections.abc import Mapping
from typing import Any

from ganspace_topdis.traversal.labels import format_number
from vae.evaluation.metrics import METRICS, EvaluationSettings

__all__ = ["execute", "to_text"]

_SETTINGS = ("max_images", "num_reconstructed", "seed")
_MAX_SHARES = 3


def execute(options: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate a run; return the contents of its evaluation.json.

    Raises:
        InvalidArgumentError: the value of an option is not allowed.
        TopdisError: see `vae.evaluation.run.evaluate`.
    """
    from vae.evaluation.run import evaluate

    metrics = options["metrics"]
    groups = None if metrics is None else tuple(name.strip() for name in metrics.split(",") if name.strip())
    settings = EvaluationSettings(metrics=groups, **{name: options[name] for name in _SETTINGS})
    return evaluate(
        options["run"],
        settings,
        device=options["device"],
        data_root=options["data_root"],
        verify=options["verify"],
        jobs=options["jobs"],
        pictures=options["pictures"],
    )


def to_text(record: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Format scores, live latents and the main files."""
    from vae.evaluation.run import EVALUATION

    scores = [
        f"{metric.name:>34}  {format_number(record['scores'][metric.key], num_digits=3)}"
        for metric in METRICS
        if metric.key in record["scores"]
    ]
    latents = [_latent_text(latent) for latent in record["latents"] if latent["live"]]
    files = [str(options["run"] / name) for name in (EVALUATION, *record["files"][:2])]
    return "\n".join([*scores, "", *latents, "", *files])


def _latent_text(latent: Mapping[str, Any]) -> str:
    """Format a latent with the factors it is most informative of, and the share of their entropy."""
    best = sorted(latent["shares"].items(), key=lambda item: -item[1])[:_MAX_SHARES]
    shares = ", ".join(f"{name} {share:.2f}" for name, share in best)
    return f"latent {latent['index']:>3}  KL {latent['kl']:.2f} nats  {shares}".rstrip()
