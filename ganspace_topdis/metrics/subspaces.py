"""Metrics that match directions of the latent space with factors: MCC, and IWO with IWR.

    MCC   mean_k |corr(z_p(k), v_k)| with the best one-to-one matching p; Pearson or Spearman
          (Hyvarinen & Morioka 2016; Khemakhem et al. 2020, section 5; ilkhem/icebeem metrics/mcc.py)
    IWO   1 - sum_lm sqrt(a_l b_m) (u_l . w_m)^2, u and w the orthonormal bases of two factors, ordered by importance
          a and b, with sum 1; mean over pairs of factors (Geyer et al. 2024, section 3.3)
    IWR   1 - H_D(a), mean over factors (section 3.4)

A factor's basis comes from a chain of linear maps that drop one latent dimension at a time, each followed by a
network that predicts the factor; the dimension that is dropped first matters least (section 3.2). Importance is the
loss that a dimension saves, over the loss of a constant guess, and the rest to 1 is spread evenly, as in the
authors' code (iwo.py: get_basis, get_importance, get_iwo).
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.inputs import Array, LabeledCodes, check_pair, check_split
from ganspace_topdis.metrics.predictors import squared_correlations

__all__ = ["IWO", "iwo", "mcc"]


def mcc(codes: ArrayLike, factors: ArrayLike, *, method: Literal["pearson", "spearman"] = "pearson") -> float:
    """The mean correlation coefficient, in [0, 1]; 1 is perfect.

    Independent codes score about the largest chance correlation, which falls as 1 / sqrt(N). Constant latents
    correlate with nothing; a duplicate is never matched; with fewer latents than factors, those without one score 0.
    Whole numbers are taken to be in order; text is not, and its correlation ratio stands for the correlation.
    Invariant under permuting and rescaling latents; Spearman also under any increasing map of a latent.

    Args:
        codes: (N, D).
        factors: (N, K); constant ones are dropped.
        method: "pearson" or "spearman", which correlates ranks.

    Raises:
        InvalidArgumentError: malformed arrays, no factor varies, or an unknown method.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.stats import rankdata

    if method not in ("pearson", "spearman"):
        raise InvalidArgumentError(f"method {method!r} is not allowed; use pearson or spearman")
    data = check_pair(codes, factors)
    if method == "spearman":
        ranks = (rankdata(data.codes, axis=0), rankdata(data.values, axis=0))
        data = LabeledCodes(ranks[0], data.labels, ranks[1], data.continuous, data.unordered, data.columns)
    correlations = np.sqrt(np.clip(squared_correlations(data), 0, 1))
    matched = correlations[linear_sum_assignment(-correlations)]
    return float(matched.sum() / data.num_factors)


@dataclass(frozen=True)
class IWO:
    """The two numbers, each in [0, 1], and what they come from.

    Attributes:
        iwo: whether factors occupy orthogonal subspaces.
        iwr: whether a factor occupies few dimensions.
        importances: (K, D), of each factor's basis, the most important dimension first.
        bases: (K, D, D), the basis vectors in columns.
    """

    iwo: float
    iwr: float
    importances: Array = field(compare=False, repr=False)
    bases: Array = field(compare=False, repr=False)

    def as_dict(self) -> dict[str, float]:
        """The two numbers for JSON."""
        return {"iwo": self.iwo, "iwr": self.iwr}


def iwo(
    codes: ArrayLike,
    factors: ArrayLike,
    codes_test: ArrayLike | None = None,
    factors_test: ArrayLike | None = None,
    *,
    seed: int = 0,
) -> IWO:
    """Importance-weighted orthogonality and rank of Geyer et al. 2024.

    Latents are standardized, constant ones stay 0. A rotated code scores as the original. A duplicated latent spans
    one direction with its twin, which costs nothing. A factor that cannot be predicted has even importances, and
    two such factors score 1 - sum_lm (u_l . w_m)^2 / D = 0. Where the authors train one large network per dimension
    and factor to convergence, these have one hidden layer of 64 units and 500 steps of Adam, all at once; the
    importances come from the test loss: one minus the accuracy, or one minus R^2 for continuous factors.

    Args:
        codes: (N, D) mean codes, at least two latents; at most 10,000 rows, drawn at random, are learned from.
        factors: (N, K); constant ones are dropped. Needs no order of discrete values.
        codes_test: (M, D). A third of `codes` by default.
        factors_test: (M, K).
        seed: of the split and the networks.

    Raises:
        InvalidArgumentError: malformed arrays, fewer than two factors vary, or fewer than two latents.
    """
    from ganspace_topdis.metrics.probes import fit_chains

    train, test = check_split(codes, factors, codes_test, factors_test, seed=seed, min_factors=2, min_latents=2)
    losses, baselines, chains = fit_chains(train, test, seed=seed)
    importances = np.stack([importance_of(*each) for each in zip(losses, baselines, strict=True)])
    bases = np.stack([basis_of(chain) for chain in chains])
    return IWO(
        iwo=mean_orthogonality(importances, bases),
        iwr=float(np.mean([rank_score(each) for each in importances])),
        importances=importances,
        bases=bases,
    )


def importance_of(losses: Array, baseline: float) -> Array:
    """The importance (D,) of the basis vectors, the first first.

    Args:
        losses: (D,), of the networks that see the first 1, 2, ..., D basis vectors.
        baseline: of a constant guess.
    """
    least = np.minimum.accumulate(np.append(baseline, losses))
    saved = (least[:-1] - least[1:]) / baseline
    return saved + max(0.0, 1 - float(saved.sum())) / len(saved)


def basis_of(chain: Array) -> Array:
    """The orthonormal basis (D, D), in columns, the most important direction first.

    Args:
        chain: (D - 1, D, D); map i takes the first D - i coordinates to the first D - i - 1, the rest being 0.
    """
    dim = chain.shape[1]
    product, dropped = np.eye(dim), np.empty((dim, 0))
    for i, step in enumerate(chain):
        product = step[: dim - i - 1, : dim - i] @ product
        spanned = np.concatenate([product.T, dropped], axis=1)
        last = np.linalg.qr(spanned, mode="complete")[0][:, -1:]
        dropped = np.concatenate([dropped, last], axis=1)
    first = np.linalg.qr(dropped, mode="complete")[0][:, -1:]
    return np.concatenate([dropped, first], axis=1)[:, ::-1]


def rank_score(importance: Array) -> float:
    """IWR of one factor: one minus the entropy of its importances (D,) to base D.

    The authors' code adds 1e-4 within the logarithm, which makes it differ by up to 5e-4 and exceed 1.
    """
    held = importance[importance > 0]
    return float(1 + (held * np.log(held)).sum() / np.log(len(importance)))


def mean_orthogonality(importances: Array, bases: Array) -> float:
    """IWO, the mean over pairs of factors.

    Args:
        importances: (K, D), each row with sum 1.
        bases: (K, D, D), orthonormal vectors in columns.
    """
    roots = np.sqrt(importances)
    pairs = [
        float(1 - roots[j] @ (bases[j].T @ bases[i]) ** 2 @ roots[i])
        for i in range(len(bases))
        for j in range(i + 1, len(bases))
    ]
    return float(np.mean(pairs))
