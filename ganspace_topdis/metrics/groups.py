"""The table of metrics: each group of scores by the name that selects it, and how it is computed.

A group is what a user asks for ("dci"); it yields one or more scores ("dci_disentanglement", ...). To add a metric,
write its function in this folder, and here a row of `METRICS` with the few lines that call it. Every command, table,
page and plot reads this table; autoencoders are scored by it, too.

Reading the table imports neither numpy nor torch: a function is imported when it is called.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import check_names

if TYPE_CHECKING:
    from ganspace_topdis.metrics.inputs import Array

__all__ = ["METRICS", "MetricGroup", "Sample", "Score", "ScoreGroup", "metric_groups", "score_of"]


@dataclass(frozen=True, eq=False)
class Sample:
    """The input of a group.

    Attributes:
        codes: (N, D), at most 10,000 rows, for closed forms.
        factors: (N, K), of the same rows.
        split: codes and factors to learn from, and those of a test set where one was given.
        everything: all codes and their factors; of a complete grid, the K sizes in place of the factors.
        seed: of every draw.
        jobs: threads, by default one per processor; no score depends on it.
    """

    codes: "Array"
    factors: "Array"
    split: tuple["Array", ...]
    everything: tuple["Array", "Array | Sequence[int]"]
    seed: int
    jobs: int | None = None


@dataclass(frozen=True)
class Score:
    """One number.

    Attributes:
        key: its name in files and results.
        name: its name in tables.
        higher_is_better: None if neither direction is better.
    """

    key: str
    name: str
    higher_is_better: bool | None = True


@dataclass(frozen=True, kw_only=True)
class ScoreGroup:
    """Scores that are computed together.

    Attributes:
        name: selects the group.
        title: of the group, for tables.
        scores: in order.
        needs_factors: whether it needs known factors.
        opt_in: whether `evaluate-vae` leaves it out unless it is named, because it is slow.
    """

    name: str
    title: str
    scores: tuple[Score, ...]
    needs_factors: bool = True
    opt_in: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the scores, in order."""
        return tuple(score.key for score in self.scores)


@dataclass(frozen=True, kw_only=True)
class MetricGroup(ScoreGroup):
    """A group that codes and factors suffice for.

    Attributes:
        run: computes the scores of a sample, by key.
        learns: whether it trains a predictor.
    """

    run: Callable[[Sample], dict[str, float]]
    learns: bool = False


def _factor_vae(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.interventions import factor_vae_score

    return {"factor_vae": factor_vae_score(*s.everything, seed=s.seed)}


def _beta_vae(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.interventions import beta_vae_score

    return {"beta_vae": beta_vae_score(*s.everything, seed=s.seed)}


def _irs(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.interventions import irs

    return {"irs": irs(s.codes, s.factors)}


def _mig(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.information import mig

    return {"mig": mig(s.codes, s.factors)}


def _modularity(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.information import modularity

    return {"modularity": modularity(s.codes, s.factors)}


def _infomec(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.normalized_information import infomec

    return _prefixed("infomec", infomec(s.codes, s.factors).as_dict())


def _edi(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.normalized_information import edi

    return _prefixed("edi", edi(s.codes, s.factors, seed=s.seed).as_dict())


def _explicitness(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.predictors import explicitness

    return {"explicitness": explicitness(*s.split, seed=s.seed).test}


def _sap(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.predictors import sap

    return {"sap": sap(*s.split, seed=s.seed)}


def _sap_continuous(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.predictors import sap

    return {"sap_continuous": sap(s.codes, s.factors, s.codes, s.factors, continuous=True)}


def _snc_nk(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.predictors import snc_nk

    scores = snc_nk(*s.split, seed=s.seed)
    return {"snc": scores.snc, "nk": scores.nk}


def _dci(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.importance import dci

    scores = dci(*s.split, seed=s.seed, jobs=s.jobs)
    return {
        "dci_disentanglement": scores.disentanglement,
        "dci_completeness": scores.completeness,
        "dci_informativeness": scores.informativeness_test,
    }


def _dci_es(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.importance import dci_es

    return _prefixed("dci_es", dci_es(*s.split, seed=s.seed).as_dict())


def _mcc(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.subspaces import mcc

    return {"mcc_pearson": mcc(s.codes, s.factors), "mcc_spearman": mcc(s.codes, s.factors, method="spearman")}


def _iwo(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.subspaces import iwo

    return iwo(*s.split, seed=s.seed).as_dict()


def _unsupervised(s: Sample) -> dict[str, float]:
    from ganspace_topdis.metrics.unsupervised import unsupervised_scores

    scores = unsupervised_scores(s.codes).as_dict()
    return {key: value for key, value in scores.items() if key != "gaussian_wasserstein_correlation"}


def _prefixed(prefix: str, scores: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in scores.items()}


METRICS: tuple[MetricGroup, ...] = (
    MetricGroup(
        name="factor-vae", title="FactorVAE score", scores=(Score("factor_vae", "FactorVAE score"),), run=_factor_vae
    ),
    MetricGroup(
        name="beta-vae",
        title="beta-VAE score",
        scores=(Score("beta_vae", "beta-VAE score"),),
        run=_beta_vae,
        learns=True,
    ),
    MetricGroup(name="irs", title="IRS", scores=(Score("irs", "IRS"),), run=_irs),
    MetricGroup(name="mig", title="MIG", scores=(Score("mig", "MIG"),), run=_mig),
    MetricGroup(name="modularity", title="Modularity", scores=(Score("modularity", "Modularity"),), run=_modularity),
    MetricGroup(
        name="infomec",
        title="InfoMEC",
        scores=(
            Score("infomec_modularity", "InfoMEC modularity"),
            Score("infomec_explicitness", "InfoMEC explicitness"),
            Score("infomec_compactness", "InfoMEC compactness"),
        ),
        run=_infomec,
        opt_in=True,
    ),
    MetricGroup(
        name="edi",
        title="EDI",
        scores=(
            Score("edi_modularity", "EDI modularity"),
            Score("edi_compactness", "EDI compactness"),
            Score("edi_explicitness", "EDI explicitness"),
        ),
        run=_edi,
        learns=True,
        opt_in=True,
    ),
    MetricGroup(
        name="explicitness",
        title="Explicitness",
        scores=(Score("explicitness", "Explicitness"),),
        run=_explicitness,
        learns=True,
    ),
    MetricGroup(name="sap", title="SAP", scores=(Score("sap", "SAP"),), run=_sap, learns=True),
    MetricGroup(
        name="sap-continuous",
        title="SAP, continuous",
        scores=(Score("sap_continuous", "SAP, continuous"),),
        run=_sap_continuous,
    ),
    MetricGroup(
        name="snc-nk",
        title="SNC and NK",
        scores=(Score("snc", "SNC"), Score("nk", "NK")),
        run=_snc_nk,
        learns=True,
        opt_in=True,
    ),
    MetricGroup(
        name="dci",
        title="DCI",
        scores=(
            Score("dci_disentanglement", "DCI disentanglement"),
            Score("dci_completeness", "DCI completeness"),
            Score("dci_informativeness", "DCI informativeness"),
        ),
        run=_dci,
        learns=True,
    ),
    MetricGroup(
        name="dci-es",
        title="DCI-ES",
        scores=(
            Score("dci_es_disentanglement", "DCI-ES disentanglement"),
            Score("dci_es_completeness", "DCI-ES completeness"),
            Score("dci_es_informativeness", "DCI-ES informativeness"),
            Score("dci_es_explicitness", "DCI-ES explicitness"),
            Score("dci_es_size", "DCI-ES size", higher_is_better=None),
        ),
        run=_dci_es,
        learns=True,
        opt_in=True,
    ),
    MetricGroup(
        name="mcc",
        title="MCC",
        scores=(Score("mcc_pearson", "MCC, Pearson"), Score("mcc_spearman", "MCC, Spearman")),
        run=_mcc,
        opt_in=True,
    ),
    MetricGroup(
        name="iwo",
        title="IWO and IWR",
        scores=(Score("iwo", "IWO"), Score("iwr", "IWR")),
        run=_iwo,
        learns=True,
        opt_in=True,
    ),
    MetricGroup(
        name="unsupervised",
        title="Unsupervised",
        scores=(
            Score("gaussian_total_correlation", "Gaussian total correlation", higher_is_better=False),
            Score("gaussian_wasserstein_correlation_normed", "Wasserstein correlation, normed", higher_is_better=False),
            Score("mutual_information", "Mutual information of latents", higher_is_better=False),
        ),
        run=_unsupervised,
        needs_factors=False,
    ),
)
"""In the order of the tables."""


def metric_groups(
    names: Sequence[str] | None, *, learns: bool = True, argument: str = "metrics"
) -> tuple[MetricGroup, ...]:
    """The groups of these names, in the order of the tables; None asks for all, or all that do not learn.

    Raises:
        InvalidArgumentError: no name, or one that is unknown; `argument` is what the message calls the names.
    """
    if names is not None and not names:
        text = f"`{argument}` names no metric; give one such as mig, or leave it out for all"
        raise InvalidArgumentError(text, field=argument)
    check_names(names or (), [group.name for group in METRICS], argument)
    if names is None:
        return tuple(group for group in METRICS if learns or not group.learns)
    return tuple(group for group in METRICS if group.name in names)


def score_of(key: str) -> Score:
    """The score of a key of `METRICS`."""
    return next(score for group in METRICS for score in group.scores if score.key == key)
