"""The table of metrics: each group of scores by the name that selects it, with the function that computes it.

A group is what a user asks for ("dci"); it yields one or more scores ("dci_disentanglement", ...). To add a metric,
write its function, and add a row to `METRICS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ganspace_topdis.metrics.importance import dci, dci_es
from ganspace_topdis.metrics.information import mig, modularity
from ganspace_topdis.metrics.inputs import Array
from ganspace_topdis.metrics.interventions import beta_vae_score, factor_vae_score, irs
from ganspace_topdis.metrics.normalized_information import edi, infomec
from ganspace_topdis.metrics.predictors import explicitness, sap, snc_nk
from ganspace_topdis.metrics.subspaces import iwo, mcc
from ganspace_topdis.metrics.unsupervised import unsupervised_scores
from ganspace_topdis.options import check_names

__all__ = ["METRICS", "MetricGroup", "Sample", "metric_groups"]


@dataclass(frozen=True, eq=False)
class Sample:
    """The input of a group's function.

    Attributes:
        codes: (N, D), at most 10,000 rows, for closed forms.
        factors: (N, K), of the same rows.
        split: codes and factors to learn from, and those of a test set where one was given.
        everything: all codes and factors.
        seed: of every draw.
    """

    codes: Array
    factors: Array
    split: tuple[Array, ...]
    everything: tuple[Array, Array]
    seed: int


@dataclass(frozen=True, kw_only=True)
class MetricGroup:
    """A group of scores that are computed together.

    Attributes:
        name: selects it.
        title: for tables.
        keys: its scores, in order.
        run: computes the scores of a sample, by key.
        learns: whether it trains a predictor.
        lower_is_better: whether 0 is best.
    """

    name: str
    title: str
    keys: tuple[str, ...]
    run: Callable[[Sample], dict[str, float]]
    learns: bool = False
    lower_is_better: bool = False


def _keys(prefix: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{prefix}_{name}" for name in names)


def _named(prefix: str, scores: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in scores.items()}


def _dci(s: Sample) -> dict[str, float]:
    scores = dci(*s.split, seed=s.seed).as_dict()
    scores["informativeness"] = scores.pop("informativeness_test")
    return _named("dci", {name: value for name, value in scores.items() if name != "informativeness_train"})


def _snc_nk(s: Sample) -> dict[str, float]:
    scores = snc_nk(*s.split, seed=s.seed)
    return {"snc": scores.snc, "nk": scores.nk}


def _mcc(s: Sample) -> dict[str, float]:
    return {
        "mcc_pearson": mcc(s.codes, s.factors),
        "mcc_spearman": mcc(s.codes, s.factors, method="spearman"),
    }


def _unsupervised(s: Sample) -> dict[str, float]:
    scores = unsupervised_scores(s.codes).as_dict()
    return {name: value for name, value in scores.items() if name != "gaussian_wasserstein_correlation"}


METRICS: tuple[MetricGroup, ...] = (
    MetricGroup(
        name="factor-vae",
        title="FactorVAE score",
        keys=("factor_vae",),
        run=lambda s: {"factor_vae": factor_vae_score(*s.everything, seed=s.seed)},
    ),
    MetricGroup(
        name="beta-vae",
        title="beta-VAE score",
        keys=("beta_vae",),
        run=lambda s: {"beta_vae": beta_vae_score(*s.everything, seed=s.seed)},
        learns=True,
    ),
    MetricGroup(name="irs", title="IRS", keys=("irs",), run=lambda s: {"irs": irs(s.codes, s.factors)}),
    MetricGroup(name="mig", title="MIG", keys=("mig",), run=lambda s: {"mig": mig(s.codes, s.factors)}),
    MetricGroup(
        name="modularity",
        title="Modularity",
        keys=("modularity",),
        run=lambda s: {"modularity": modularity(s.codes, s.factors)},
    ),
    MetricGroup(
        name="infomec",
        title="InfoMEC",
        keys=_keys("infomec", "modularity", "explicitness", "compactness"),
        run=lambda s: _named("infomec", infomec(s.codes, s.factors).as_dict()),
    ),
    MetricGroup(
        name="edi",
        title="EDI",
        keys=_keys("edi", "modularity", "compactness", "explicitness"),
        run=lambda s: _named("edi", edi(s.codes, s.factors, seed=s.seed).as_dict()),
        learns=True,
    ),
    MetricGroup(
        name="explicitness",
        title="Explicitness",
        keys=("explicitness",),
        run=lambda s: {"explicitness": explicitness(*s.split, seed=s.seed).test},
        learns=True,
    ),
    MetricGroup(name="sap", title="SAP", keys=("sap",), run=lambda s: {"sap": sap(*s.split, seed=s.seed)}, learns=True),
    MetricGroup(
        name="sap-continuous",
        title="SAP, continuous",
        keys=("sap_continuous",),
        run=lambda s: {"sap_continuous": sap(s.codes, s.factors, s.codes, s.factors, continuous=True)},
    ),
    MetricGroup(name="snc-nk", title="SNC and NK", keys=("snc", "nk"), run=_snc_nk, learns=True),
    MetricGroup(
        name="dci",
        title="DCI",
        keys=_keys("dci", "disentanglement", "completeness", "informativeness"),
        run=_dci,
        learns=True,
    ),
    MetricGroup(
        name="dci-es",
        title="DCI-ES",
        keys=(
            "dci_es_disentanglement",
            "dci_es_completeness",
            "dci_es_informativeness",
            "dci_es_explicitness",
            "dci_es_size",
        ),
        run=lambda s: _named("dci_es", dci_es(*s.split, seed=s.seed).as_dict()),
        learns=True,
    ),
    MetricGroup(name="mcc", title="MCC", keys=("mcc_pearson", "mcc_spearman"), run=_mcc),
    MetricGroup(
        name="iwo",
        title="IWO and IWR",
        keys=("iwo", "iwr"),
        run=lambda s: iwo(*s.split, seed=s.seed).as_dict(),
        learns=True,
    ),
    MetricGroup(
        name="unsupervised",
        title="Unsupervised",
        keys=("gaussian_total_correlation", "gaussian_wasserstein_correlation_normed", "mutual_information"),
        run=_unsupervised,
        lower_is_better=True,
    ),
)
"""In the order of the tables."""


def metric_groups(names: Sequence[str] | None, *, learns: bool = True) -> tuple[MetricGroup, ...]:
    """The groups of these names, in the order of the tables; None asks for all, or all that do not learn.

    Raises:
        InvalidArgumentError: a name is unknown.
    """
    check_names(names or (), [group.name for group in METRICS], "metrics")
    if names is None:
        return tuple(group for group in METRICS if learns or not group.learns)
    return tuple(group for group in METRICS if group.name in names)
