"""Disentanglement metrics by the literature's definitions: codes and factors in, numbers out.

    from ganspace_topdis.metrics import evaluate, mig
    mig(codes, factors)
    evaluate(codes, factors)["dci_disentanglement"]

Codes are (N, D), factors (N, K), NumPy arrays or torch tensors; see `inputs` for what counts as a factor. Metrics
that learn take a test set too, `dci(codes, factors, codes_test, factors_test)`, or hold a third of the rows out.
"""

from ganspace_topdis.metrics.evaluation import METRICS, DisentanglementMetrics, Measured, evaluate, measure
from ganspace_topdis.metrics.importance import DCI, DCIES, dci, dci_es
from ganspace_topdis.metrics.information import EDI, InfoMEC, edi, infomec, mig, mig_sampled, modularity
from ganspace_topdis.metrics.interventions import FactorTable, beta_vae_score, factor_vae_score, irs
from ganspace_topdis.metrics.predictors import SNCNK, Explicitness, explicitness, sap, snc_nk
from ganspace_topdis.metrics.subspaces import IWO, iwo, mcc
from ganspace_topdis.metrics.unsupervised import UnsupervisedScores, udr, unsupervised_scores

__all__ = [
    "DCI",
    "DCIES",
    "EDI",
    "IWO",
    "METRICS",
    "SNCNK",
    "DisentanglementMetrics",
    "Explicitness",
    "FactorTable",
    "InfoMEC",
    "Measured",
    "UnsupervisedScores",
    "beta_vae_score",
    "dci",
    "dci_es",
    "edi",
    "evaluate",
    "explicitness",
    "factor_vae_score",
    "infomec",
    "irs",
    "iwo",
    "mcc",
    "measure",
    "mig",
    "mig_sampled",
    "modularity",
    "sap",
    "snc_nk",
    "udr",
    "unsupervised_scores",
]
