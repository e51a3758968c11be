"""`topdis-gan evaluate-vae`: score a trained run and print its scores and latents."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganspace_topdis.options import Command, Settings, device_option, nested, option
from vae.evaluation.metrics import METRICS, EvaluationSettings, format_metric
from vae.settings import data_root_option, verify_option

__all__ = ["COMMAND", "Options", "run", "to_text"]

_MAX_SHARES = 3
_OUTPUT, _MACHINE = "Output", "Machine"


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What is evaluated, and how."""

    run: Path = option(help="Run folder of `topdis-gan train-vae`.", argument=True)
    evaluation: EvaluationSettings = nested(EvaluationSettings)
    pictures: bool = option(True, help="Draw traversals and the page.", group=_OUTPUT)
    data_root: Path | None = data_root_option(_MACHINE)
    verify: bool = verify_option(_MACHINE)
    threads: int | None = option(
        None, help="Threads of the boosted trees.", group=_MACHINE, minimum=1, default_text="one per processor"
    )
    device: str = device_option(_MACHINE)


def run(options: Options) -> dict[str, Any]:
    """Evaluate a run; return the contents of its evaluation.json.

    Raises:
        TopdisError: see `vae.evaluation.run.evaluate`.
    """
    from vae.evaluation.run import evaluate

    return evaluate(
        options.run,
        options.evaluation,
        device=options.device,
        data_root=options.data_root,
        verify=options.verify,
        jobs=options.threads,
        pictures=options.pictures,
    )


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """Format scores, live latents and the main files."""
    from vae.evaluation.run import EVALUATION

    shown = [metric for metric in METRICS if metric.key in record["scores"]]
    width = max((len(metric.name) for metric in shown), default=0)
    scores = [f"{metric.name:>{width}}  {format_metric(record['scores'][metric.key], metric.key)}" for metric in shown]
    latents = [_latent_text(latent) for latent in record["latents"] if latent["live"]]
    files = [str(options.run / name) for name in (EVALUATION, *record["files"][:2])]
    return "\n\n".join("\n".join(lines) for lines in (scores, latents, files) if lines)


def _latent_text(latent: Mapping[str, Any]) -> str:
    """Format a latent with its most informative factors and their shares of its entropy."""
    best = sorted(latent["shares"].items(), key=lambda item: -item[1])[:_MAX_SHARES]
    shares = ", ".join(f"{name} {share:.2f}" for name, share in best)
    return f"latent {latent['index']:>3}  KL {latent['kl']:.2f} nats  {shares}".rstrip()


COMMAND = Command(
    options=Options,
    run=run,
    to_text=to_text,
    help="Score a run of train-vae by every metric; draw its traversals and a page.",
    examples=("topdis-gan evaluate-vae runs/x", "topdis-gan evaluate-vae runs/x --metrics mig,dci --max-images 30000"),
)
