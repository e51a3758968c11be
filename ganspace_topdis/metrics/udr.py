"""Unsupervised disentanglement ranking: do models that differ only in their seed find the same latents?

For models a and b, R_ij says how strongly latent i of a explains latent j of b: the absolute coefficients of
a lasso (alpha = 0.1) of b's z-scored codes on a's, or the absolute Spearman correlations. With latents of
little information left out,

    UDR_ab = 1/2 (mean_j max_i R_ij^2 / sum_i R_ij + mean_i max_j R_ij^2 / sum_j R_ij),

and a model's score is the median over all the others.

Duan et al. 2020 (Unsupervised Model Selection for Variational Disentangled Representation Learning).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.inputs import Array, as_codes

__all__ = ["udr"]


def udr(
    codes: Sequence[ArrayLike],
    kl: Sequence[ArrayLike] | None = None,
    *,
    method: Literal["lasso", "spearman"] = "lasso",
    min_kl: float = 0.01,
) -> Array:
    """The score of each of M models, (M,), each in [0, 1].

    Args:
        codes: M arrays (N, D_m): mean codes of the same N images, in order; the literature takes N = 1,000.
        kl: M arrays (D_m,): the mean KL divergence of each latent, nats. Latents of `min_kl` or less are left
            out. Without it only constant latents are.
        method: "lasso" or "spearman".
        min_kl: nats.

    Raises:
        InvalidArgumentError: fewer than two models, arrays that do not fit together, or an unknown method.
    """
    if len(codes) < 2 or method not in ("lasso", "spearman"):
        raise InvalidArgumentError(f"{len(codes)} models, method {method!r}: use 2 or more and lasso or spearman")
    checked = [as_codes(each, f"codes[{m}]").astype(np.float64) for m, each in enumerate(codes)]
    if len({len(each) for each in checked}) > 1:
        raise InvalidArgumentError(f"codes have {[len(each) for each in checked]} rows; encode the same images")
    live = [_standardised(each, _informative(each, kl, m, min_kl)) for m, each in enumerate(checked)]
    relate = _lasso if method == "lasso" else _spearman
    count = len(live)
    pairs = np.array([[_strength(relate(a, b)) if a is not b else 0.0 for b in live] for a in live])
    return np.array([np.median(np.delete(pairs[:, m], m)) for m in range(count)])


def _informative(codes: Array, kl: Sequence[ArrayLike] | None, model: int, min_kl: float) -> Array:
    varying = codes.std(axis=0) > 0
    if kl is None:
        return varying
    divergence = np.asarray(kl[model], dtype=np.float64) if model < len(kl) else np.empty(0)
    if divergence.shape != (codes.shape[1],) or not np.isfinite(divergence).all():
        raise InvalidArgumentError(f"kl[{model}] must be ({codes.shape[1]},) finite numbers, one a latent")
    return varying & (divergence > min_kl)


def _standardised(codes: Array, columns: Array) -> Array:
    chosen = codes[:, columns]
    return (chosen - chosen.mean(axis=0)) / chosen.std(axis=0)


def _strength(relation: Array) -> float:
    """How close a (D_a, D_b) matrix of non-negative numbers is to a permutation; 0 when it is empty."""
    if relation.size == 0:
        return 0.0
    shares = []
    for axis in (0, 1):
        total = relation.sum(axis=axis)
        largest = relation.max(axis=axis)
        shares.append(np.mean(np.divide(largest**2, total, out=np.zeros_like(total), where=total > 0)))
    return float(np.mean(shares))


def _lasso(a: Array, b: Array) -> Array:
    from sklearn.linear_model import Lasso

    if a.shape[1] == 0 or b.shape[1] == 0:
        return np.empty((a.shape[1], b.shape[1]))
    coefficients = Lasso(alpha=0.1).fit(a, b).coef_
    return np.abs(np.reshape(coefficients, (b.shape[1], a.shape[1]))).T


def _spearman(a: Array, b: Array) -> Array:
    from scipy.stats import rankdata

    ranks_a, ranks_b = rankdata(a, axis=0), rankdata(b, axis=0)
    joint = np.corrcoef(np.hstack([ranks_a, ranks_b]), rowvar=False)
    return np.abs(joint[: a.shape[1], a.shape[1] :])
