"""The scores of an autoencoder and the settings of its evaluation. No torch is imported here.

A group is what the setting `metrics` selects; it computes one or more scores. The groups are those of the core's table,
to which a metric of codes and factors is added (`ganspace_topdis.metrics.groups`), and two that need the autoencoder
itself. "reconstruction" is always computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.groups import METRICS as GROUPS_OF_CODES
from ganspace_topdis.metrics.groups import Score, ScoreGroup
from ganspace_topdis.options import Settings, check_names, option, seed_option, split_names
from ganspace_topdis.report.values import format_number

__all__ = [
    "ALL_GROUPS",
    "GROUPS",
    "GROUPS_WITH_FACTORS",
    "METRICS",
    "EvaluationSettings",
    "format_metric",
    "groups_for",
    "metric_name",
]


GROUPS: tuple[ScoreGroup, ...] = (
    *GROUPS_OF_CODES,
    ScoreGroup(name="mig-sampled", title="MIG, sampled", scores=(Score("mig_sampled", "MIG, sampled"),), opt_in=True),
    ScoreGroup(
        name="reconstruction",
        title="Reconstruction",
        scores=(
            Score("reconstruction", "Reconstruction error, nats per image", higher_is_better=False),
            Score("squared_error", "Squared error per pixel", higher_is_better=False),
            Score("kl", "KL, nats", higher_is_better=None),
            Score("live_latents", "Live latents", higher_is_better=None),
        ),
        needs_factors=False,
    ),
)
"""In the order of the tables."""
METRICS: tuple[Score, ...] = tuple(score for group in GROUPS for score in group.scores)
"""Their scores, in the same order."""
ALL_GROUPS = tuple(group.name for group in GROUPS)
GROUPS_WITH_FACTORS = tuple(group.name for group in GROUPS if group.needs_factors)
_SCORES = "Scores"


def metric_name(key: str) -> str:
    """Return the name of a metric in tables; an unknown key is returned unchanged.

    >>> metric_name("dci_disentanglement")
    'DCI disentanglement'
    """
    return next((metric.name for metric in METRICS if metric.key == key), key)


def format_metric(value: float, key: str) -> str:
    """Format a score for a table.

    >>> format_metric(0.25, "mig"), format_metric(3.0, "live_latents")
    ('0.250', '3')
    """
    return str(int(value)) if key == "live_latents" else format_number(value, num_digits=3)


def groups_for(requested: Sequence[str] | None, *, has_factors: bool) -> tuple[str, ...]:
    """Return the groups to compute, "reconstruction" included; None selects all that the data set supports.

    The sampled MIG, which takes minutes on a large grid, and the metrics of 2023 and later, which together take about
    a minute per model, are omitted unless requested by name.

    Raises:
        InvalidArgumentError: a group is unknown, or needs factors that the data set does not have.

    >>> groups_for(None, has_factors=False)
    ('unsupervised', 'reconstruction')
    """
    if requested is None:
        return tuple(g.name for g in GROUPS if not g.opt_in and (has_factors or not g.needs_factors))
    check_names(requested, ALL_GROUPS, "metrics")
    supervised = [group for group in requested if group in GROUPS_WITH_FACTORS]
    if supervised and not has_factors:
        allowed = ", ".join(group for group in ALL_GROUPS if group not in GROUPS_WITH_FACTORS)
        raise InvalidArgumentError(
            f"`metrics` {supervised[0]!r} needs known factors, which this data set does not have; use {allowed}",
            field="metrics",
        )
    return tuple(group for group in ALL_GROUPS if group in requested or group == "reconstruction")


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings(Settings):
    """What is measured, and on how many images.

    Raises:
        InvalidArgumentError: a name is unknown, or a value is not allowed.
    """

    metrics: tuple[str, ...] | None = option(
        None,
        help="Metric groups, such as mig,dci.",
        group=_SCORES,
        metavar="NAME,...",
        default_text="all that the data set supports",
        parse=split_names,
        complete=lambda: ALL_GROUPS,
    )
    max_images: int | None = option(
        None,
        help="Thin the encoded grid to at most this many images.",
        group=_SCORES,
        minimum=50,
        default_text="the whole grid",
    )
    num_reconstructed: int = option(5_000, help="Images for the reconstruction error.", group=_SCORES, minimum=1)
    seed: int = seed_option(_SCORES, help="Seed of the metrics' draws.")

    def __post_init__(self) -> None:
        super().__post_init__()
        groups_for(self.metrics, has_factors=True)
