"""The metrics of an evaluation and its settings. No torch is imported here.

A group is what the setting `metrics` selects; it computes one or more metrics. "reconstruction" is always computed. To
add a metric, list it here and compute its group in `vae.evaluation.scores`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import Settings, check_names, option, split_names

__all__ = [
    "ALL_GROUPS",
    "GROUPS_WITH_FACTORS",
    "METRICS",
    "EvaluationSettings",
    "Metric",
    "groups_for",
    "metric_name",
]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number of an evaluation.

    Attributes:
        key: its name in evaluation.json.
        name: its name in tables.
        group: the group that computes it.
        higher_is_better: None if neither direction is better.
        needs_factors: whether it needs known factors.
    """

    key: str
    name: str
    group: str
    higher_is_better: bool | None = True
    needs_factors: bool = True


METRICS: tuple[Metric, ...] = (
    Metric(key="factor_vae", name="FactorVAE score", group="factor-vae"),
    Metric(key="mig", name="MIG", group="mig"),
    Metric(key="sap", name="SAP", group="sap"),
    Metric(key="dci_disentanglement", name="DCI disentanglement", group="dci"),
    Metric(key="dci_completeness", name="DCI completeness", group="dci"),
    Metric(key="dci_informativeness", name="DCI informativeness", group="dci"),
    Metric(key="modularity", name="Modularity", group="modularity"),
    Metric(key="explicitness", name="Explicitness", group="explicitness"),
    Metric(key="irs", name="IRS", group="irs"),
    Metric(key="beta_vae", name="β-VAE score", group="beta-vae"),
    Metric(key="sap_continuous", name="SAP, continuous", group="sap"),
    Metric(key="infomec_modularity", name="InfoMEC modularity", group="infomec"),
    Metric(key="infomec_explicitness", name="InfoMEC explicitness", group="infomec"),
    Metric(key="infomec_compactness", name="InfoMEC compactness", group="infomec"),
    Metric(key="edi_modularity", name="EDI modularity", group="edi"),
    Metric(key="edi_compactness", name="EDI compactness", group="edi"),
    Metric(key="edi_explicitness", name="EDI explicitness", group="edi"),
    Metric(key="dci_es_disentanglement", name="DCI-ES disentanglement", group="dci-es"),
    Metric(key="dci_es_completeness", name="DCI-ES completeness", group="dci-es"),
    Metric(key="dci_es_informativeness", name="DCI-ES informativeness", group="dci-es"),
    Metric(key="dci_es_explicitness", name="DCI-ES explicitness", group="dci-es"),
    Metric(key="dci_es_size", name="DCI-ES size", group="dci-es", higher_is_better=None),
    Metric(key="snc", name="SNC", group="snc-nk"),
    Metric(key="nk", name="NK", group="snc-nk"),
    Metric(key="mcc_pearson", name="MCC, Pearson", group="mcc"),
    Metric(key="mcc_spearman", name="MCC, Spearman", group="mcc"),
    Metric(key="iwo", name="IWO", group="iwo"),
    Metric(key="iwr", name="IWR", group="iwo"),
    Metric(key="mig_sampled", name="MIG, sampled", group="mig-sampled"),
    Metric(
        key="gaussian_total_correlation",
        name="Gaussian total correlation",
        group="unsupervised",
        higher_is_better=False,
        needs_factors=False,
    ),
    Metric(
        key="gaussian_wasserstein_correlation_normed",
        name="Wasserstein correlation, normed",
        group="unsupervised",
        higher_is_better=False,
        needs_factors=False,
    ),
    Metric(
        key="mutual_information",
        name="Mutual information of latents",
        group="unsupervised",
        higher_is_better=False,
        needs_factors=False,
    ),
    Metric(
        key="reconstruction",
        name="Reconstruction error, nats per image",
        group="reconstruction",
        higher_is_better=False,
        needs_factors=False,
    ),
    Metric(
        key="squared_error",
        name="Squared error per pixel",
        group="reconstruction",
        higher_is_better=False,
        needs_factors=False,
    ),
    Metric(key="kl", name="KL, nats", group="reconstruction", higher_is_better=None, needs_factors=False),
    Metric(key="live_latents", name="Live latents", group="reconstruction", higher_is_better=None, needs_factors=False),
)
"""The metrics, in the order of the tables."""
ALL_GROUPS = tuple(dict.fromkeys(metric.group for metric in METRICS))
GROUPS_WITH_FACTORS = tuple(dict.fromkeys(metric.group for metric in METRICS if metric.needs_factors))
_OPT_IN = ("mig-sampled", "infomec", "edi", "dci-es", "snc-nk", "mcc", "iwo")
_SCORES = "Scores"


def metric_name(key: str) -> str:
    """Return the name of a metric in tables; an unknown key is returned unchanged.

    >>> metric_name("dci_disentanglement")
    'DCI disentanglement'
    """
    return next((metric.name for metric in METRICS if metric.key == key), key)


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
        available = ALL_GROUPS if has_factors else [g for g in ALL_GROUPS if g not in GROUPS_WITH_FACTORS]
        return tuple(group for group in available if group not in _OPT_IN)
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
    seed: int = option(0, help="Seed of the metrics' draws.", group=_SCORES)

    def __post_init__(self) -> None:
        super().__post_init__()
        groups_for(self.metrics, has_factors=True)
