"""Disentanglement metrics by the literature's definitions: codes and factors in, numbers out.

    from ganspace_topdis.metrics import evaluate, mig
    mig(codes, factors)
    evaluate(codes, factors)["dci_disentanglement"]

Codes are (N, D), factors (N, K), NumPy arrays or torch tensors; `inputs` defines what counts as a factor. Metrics that
learn also take a test set, `dci(codes, factors, codes_test, factors_test)`, or hold out a third of the rows.

Names are imported on first use, so that the command line reads the table of metrics without loading numpy.
"""

from typing import TYPE_CHECKING

from ganspace_topdis.lazy import import_on_first_use

if TYPE_CHECKING:
    from ganspace_topdis.metrics.evaluation import (
        Compared,
        DisentanglementMetrics,
        Measured,
        compare,
        evaluate,
        measure,
    )
    from ganspace_topdis.metrics.groups import METRICS
    from ganspace_topdis.metrics.importance import DCI, DCIES, dci, dci_es
    from ganspace_topdis.metrics.information import mig, mig_sampled, modularity
    from ganspace_topdis.metrics.interventions import FactorTable, beta_vae_score, factor_vae_score, irs
    from ganspace_topdis.metrics.latent_exchange import InterventionalAccuracy, interventional_accuracy
    from ganspace_topdis.metrics.normalized_information import EDI, InfoMEC, edi, infomec
    from ganspace_topdis.metrics.predictors import SNCNK, Explicitness, explicitness, sap, snc_nk
    from ganspace_topdis.metrics.representations import NTS, nts, srtd
    from ganspace_topdis.metrics.subspaces import IWO, iwo, mcc
    from ganspace_topdis.metrics.unsupervised import UnsupervisedScores, udr, unsupervised_scores

__all__ = [
    "DCI",
    "DCIES",
    "EDI",
    "IWO",
    "METRICS",
    "NTS",
    "SNCNK",
    "Compared",
    "DisentanglementMetrics",
    "Explicitness",
    "FactorTable",
    "InfoMEC",
    "InterventionalAccuracy",
    "Measured",
    "UnsupervisedScores",
    "beta_vae_score",
    "compare",
    "dci",
    "dci_es",
    "edi",
    "evaluate",
    "explicitness",
    "factor_vae_score",
    "infomec",
    "interventional_accuracy",
    "irs",
    "iwo",
    "mcc",
    "measure",
    "mig",
    "mig_sampled",
    "modularity",
    "nts",
    "sap",
    "snc_nk",
    "srtd",
    "udr",
    "unsupervised_scores",
]

_NAMES = {
    "evaluation": ("Compared", "DisentanglementMetrics", "Measured", "compare", "evaluate", "measure"),
    "groups": ("METRICS",),
    "importance": ("DCI", "DCIES", "dci", "dci_es"),
    "information": ("mig", "mig_sampled", "modularity"),
    "interventions": ("FactorTable", "beta_vae_score", "factor_vae_score", "irs"),
    "latent_exchange": ("InterventionalAccuracy", "interventional_accuracy"),
    "normalized_information": ("EDI", "InfoMEC", "edi", "infomec"),
    "predictors": ("SNCNK", "Explicitness", "explicitness", "sap", "snc_nk"),
    "representations": ("NTS", "nts", "srtd"),
    "subspaces": ("IWO", "iwo", "mcc"),
    "unsupervised": ("UnsupervisedScores", "udr", "unsupervised_scores"),
}
"""Module -> its public names."""
__getattr__, __dir__ = import_on_first_use(
    __name__, {name: module for module, names in _NAMES.items() for name in names}
)
