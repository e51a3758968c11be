"""The scores of a run as a whole, as a few lines that people read: in the terminal and on the page."""

from collections.abc import Mapping
from typing import Any

__all__ = ["summary"]


def summary(scores: Mapping[str, Any]) -> dict[str, str]:
    """A heading and a text for each score that there is, in a fixed order.

    >>> summary({"agreement": {"mean": 0.912, "num_others": 2}})
    {'agreement': 'mean |cos| 0.912 with 2 other runs'}
    """
    return {heading: write(scores[key]) for key, (heading, write) in _LINES.items() if key in scores}


def _means(rescoring: Mapping[str, Any]) -> str:
    ratios = [ratio for ratio in rescoring["off_target"] if ratio is not None]
    off_target = f", off over on target {sum(ratios) / len(ratios):.2f}" if ratios else ""
    return f"share {rescoring['mean_share']:.3f}, Spearman {rescoring['mean_spearman']:.3f}{off_target}"


def _reconstructor(scores: Mapping[str, Any]) -> str:
    return (
        f"{scores['accuracy']:.3f} of {scores['num_pairs']} unseen pairs had their direction named "
        f"(guessing: {scores['chance']:.3f})"
    )


def _agreement(scores: Mapping[str, Any]) -> str:
    runs = "run" if scores["num_others"] == 1 else "runs"
    return f"mean |cos| {scores['mean']:.3f} with {scores['num_others']} other {runs}"


def _protocol(scores: Mapping[str, Any]) -> str:
    return (
        f"MIG {scores['mig']:.3f}, DCI {scores['disentanglement']:.3f}, FactorVAE score "
        f"{scores['factor_vae_score']:.3f}, encoder error {scores['encoder_error']:.3f}"
    )


_LINES: dict[str, tuple[str, Any]] = {
    "rescoring": ("mean over factors", _means),
    "oracle": ("oracle", _means),
    "noise_floor": ("noise floor", lambda floor: ", ".join(f"{name} {part:.3f}" for name, part in floor.items())),
    "reconstructor": ("reconstructor", _reconstructor),
    "agreement": ("agreement", _agreement),
    "protocol": ("encoder protocol", _protocol),
}
