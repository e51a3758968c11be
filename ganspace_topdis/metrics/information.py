"""Plug-in entropies and mutual information, in nats, of histogrammed codes and discrete factors.

Each latent is cut into `num_bins` bins of equal width between its smallest and largest value, as
disentanglement_lib does; I(a; b) = sum p(a, b) log(p(a, b) / (p(a) p(b))) over the observed frequencies.
The bias of the plug-in estimate is about (bins - 1)(values - 1) / 2N nats.
"""

import numpy as np

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.inputs import Array

__all__ = ["discretise", "entropy", "mutual_information", "mutual_information_matrix"]


def discretise(columns: Array, num_bins: int = 20) -> Array:
    """The bin (1 to `num_bins`) of every entry of (N, D), each column between its own extremes.

    Raises:
        InvalidArgumentError: `num_bins` is less than 2.
    """
    if num_bins < 2:
        raise InvalidArgumentError(f"num_bins {num_bins} is not allowed; use 2 or more (the literature uses 20)")
    edges = [np.histogram_bin_edges(column, num_bins)[:-1] for column in columns.T]
    return np.stack([np.digitize(*pair) for pair in zip(columns.T, edges, strict=True)], axis=1)


def mutual_information(a: Array, b: Array) -> float:
    """I(a; b) in nats of two label vectors (N,)."""
    joint = _contingency(a, b)
    joint /= joint.sum()
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return max(0.0, float((joint[seen] * np.log(joint[seen] / product[seen])).sum()))


def mutual_information_matrix(codes: Array, factors: Array) -> Array:
    """I(latent; factor) in nats of discretised codes (N, D) and factors (N, K): (D, K)."""
    return np.array([[mutual_information(code, factor) for factor in factors.T] for code in codes.T])


def entropy(labels: Array) -> float:
    """H(labels) in nats.

    >>> round(entropy(np.array([0, 1, 2, 3])), 4) == round(float(np.log(4)), 4)
    True
    """
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(shares * np.log(shares)).sum())


def _contingency(a: Array, b: Array) -> Array:
    """How often each pair of labels occurs."""
    rows, columns = np.unique(a, return_inverse=True)[1], np.unique(b, return_inverse=True)[1]
    num_columns = int(columns.max()) + 1
    counts = np.bincount(rows * num_columns + columns, minlength=(int(rows.max()) + 1) * num_columns)
    return counts.reshape(-1, num_columns).astype(np.float64)
