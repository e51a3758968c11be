"""Entropies and mutual information, in nats: plug-in for labels, nearest neighbors for numbers.

    plug-in   I(a; b) = sum p(a, b) log(p(a, b) / (p(a) p(b))) over observed frequencies. A latent is first cut into
              bins of equal width between its extremes, as disentanglement_lib does. The bias is about
              (bins - 1)(values - 1) / 2N nats.
    KSG       between two continuous variables, with radius r_i to the k-th neighbor in the maximum norm:
              psi(N) + psi(k) - <psi(n_x) + psi(n_y)>, n counting the points nearer than r_i, itself included
              (Kraskov et al. 2004, equation 8)
    Ross      between a continuous and a discrete one, with r_i to the k-th neighbor of the same label:
              psi(N) + <psi(k)> - <psi(N_label)> - <psi(m_i)> (Ross 2014, equation 2)

Both nearest-neighbor estimates are clipped at 0, and equal scikit-learn's `mutual_info_classif` and
`mutual_info_regression` where no values are tied. Ties are broken by the same jitter of 1e-10, here from a fixed
seed, so that a score does not change between calls. Labels that occur once are excluded from Ross's estimate.
"""

import numpy as np
from numba import njit

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.inputs import Array, LabeledCodes

__all__ = [
    "discretize",
    "entropy",
    "knn_information",
    "knn_information_matrix",
    "mutual_information",
    "mutual_information_matrix",
]

_JITTER = 1e-10


def discretize(columns: Array, num_bins: int = 20) -> Array:
    """The bin (1 to `num_bins`) of every entry of (N, D), each column between its own extremes.

    Raises:
        InvalidArgumentError: `num_bins` is less than 2.
    """
    if num_bins < 2:
        raise InvalidArgumentError(f"num_bins {num_bins} is not allowed; use 2 or more (the literature uses 20)")
    return np.stack([_bins(column, num_bins) for column in columns.T], axis=1)


def _bins(column: Array, num_bins: int) -> Array:
    """The bin of every entry of (N,): in the column's own precision, in double precision if that has no room for bins.

    A column that has no room there either is one bin.
    """
    try:
        return np.digitize(column, np.histogram_bin_edges(column, num_bins)[:-1])
    except ValueError:  # numpy: too many bins for the range of the data
        wide = column.astype(np.float64)
        return np.ones(len(column), np.int64) if wide.dtype == column.dtype else _bins(wide, num_bins)


def mutual_information(a: Array, b: Array) -> float:
    """I(a; b) in nats of two label vectors (N,)."""
    joint = _contingency(a, b)
    joint /= joint.sum()
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return max(0.0, float((joint[seen] * np.log(joint[seen] / product[seen])).sum()))


def mutual_information_matrix(codes: Array, factors: Array) -> Array:
    """I(latent; factor) in nats of discretized codes (N, D) and labels (N, K): (D, K)."""
    return np.array([[mutual_information(code, factor) for factor in factors.T] for code in codes.T])


def entropy(labels: Array) -> float:
    """H(labels) in nats.

    >>> round(entropy(np.array([0, 1, 2, 3])), 4) == round(float(np.log(4)), 4)
    True
    """
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(shares * np.log(shares)).sum())


def knn_information_matrix(data: LabeledCodes, num_neighbors: int) -> Array:
    """I(latent; factor) in nats, (D, K), by nearest neighbors: Ross for discrete factors, KSG for continuous ones."""
    codes, rng = data.codes.astype(np.float64), np.random.default_rng(0)
    latents = [_spread(column, rng) for column in codes.T]
    information = np.empty((data.num_latents, data.num_factors))
    for k in range(data.num_factors):
        factor = _spread(data.values[:, k], rng) if data.continuous[k] else data.labels[:, k]
        for j, latent in enumerate(latents):
            information[j, k] = knn_information(latent, factor, num_neighbors, discrete=not data.continuous[k])
    return information


def knn_information(x: Array, y: Array, num_neighbors: int, *, discrete: bool) -> float:
    """I(x; y) in nats of numbers `x` (N,) and labels or numbers `y` (N,); break ties by a jitter first.

    Raises:
        InvalidArgumentError: `num_neighbors` is not between 1 and N - 1.
    """
    if not 1 <= num_neighbors < len(x):
        raise InvalidArgumentError(f"{num_neighbors} neighbors of {len(x)} points; use 1 to {len(x) - 1}")
    if not discrete:
        return _ksg(x, y, num_neighbors)
    labels = np.unique(y, return_inverse=True)[1]
    known = np.bincount(labels)[labels] > 1
    if not known.any():
        return 0.0
    order = np.argsort(x[known], kind="stable")
    ranked, groups = x[known][order], np.unique(labels[known][order], return_inverse=True)[1]
    counts = np.bincount(groups)
    members = np.argsort(groups, kind="stable")
    neighbors, nearer = _within_label(ranked, members, counts, num_neighbors)
    return max(0.0, float(_psi(len(ranked)) + (_psi(neighbors) - _psi(counts[groups]) - _psi(nearer)).mean()))


def _ksg(x: Array, y: Array, num_neighbors: int) -> float:
    from scipy.spatial import cKDTree

    points = np.stack([x, y], axis=1)
    distances = cKDTree(points).query(points, k=num_neighbors + 1, p=np.inf)[0][:, -1]
    radius = np.nextafter(distances, 0)
    near_x, near_y = (_count_within(np.sort(column), column, radius) for column in (x, y))
    return max(0.0, float(_psi(len(x)) + _psi(num_neighbors) - (_psi(near_x) + _psi(near_y)).mean()))


def _psi(numbers: Array | int) -> Array:
    from scipy.special import digamma

    return np.asarray(digamma(numbers))


def _spread(column: Array, rng: np.random.Generator) -> Array:
    """The column in units of its standard deviation, with ties broken; a constant one is only jittered."""
    deviation = column.std()
    scaled = column / deviation if deviation > 0 else column - column
    return scaled + _JITTER * max(1.0, float(np.abs(scaled).mean())) * rng.standard_normal(len(scaled))


@njit(cache=True, nogil=True)
def _count_within(ranked, points, radius):  # type: ignore[no-untyped-def]
    """How many of `ranked` (N,), sorted, lie within `radius` of each point."""
    counts = np.empty(len(points), dtype=np.int64)
    for i in range(len(points)):
        counts[i] = _upper(ranked, points[i], radius[i]) - _lower(ranked, points[i], radius[i])
    return counts


@njit(cache=True, nogil=True)
def _lower(ranked, point, radius):  # type: ignore[no-untyped-def]
    """The first index whose value is at most `radius` below the point."""
    low, high = 0, len(ranked)
    while low < high:
        middle = (low + high) // 2
        if point - ranked[middle] > radius:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _upper(ranked, point, radius):  # type: ignore[no-untyped-def]
    """One past the last index whose value is at most `radius` above the point."""
    low, high = 0, len(ranked)
    while low < high:
        middle = (low + high) // 2
        if ranked[middle] - point <= radius:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _within_label(ranked, members, counts, num_neighbors):  # type: ignore[no-untyped-def]
    """For each point the number of neighbors used, and the points nearer than the last of them, itself included.

    `members` lists the sorted points label by label, so that a label's neighbors form a sliding window.
    """
    used, nearer = np.empty(len(ranked), dtype=np.int64), np.empty(len(ranked), dtype=np.int64)
    start = 0
    for count in counts:
        k, left = min(num_neighbors, count - 1), 0
        for position in range(count):
            i = members[start + position]
            left = max(left, position - k)
            while left < position and left + k + 1 < count:
                if ranked[members[start + left + k + 1]] - ranked[i] >= ranked[i] - ranked[members[start + left]]:
                    break
                left += 1
            below = ranked[i] - ranked[members[start + left]]
            above = ranked[members[start + left + k]] - ranked[i]
            radius = np.nextafter(max(below, above), 0.0)
            used[i] = k
            nearer[i] = _upper(ranked, ranked[i], radius) - _lower(ranked, ranked[i], radius)
        start += count
    return used, nearer


def _contingency(a: Array, b: Array) -> Array:
    """How often each pair of labels occurs."""
    rows, columns = np.unique(a, return_inverse=True)[1], np.unique(b, return_inverse=True)[1]
    num_columns = int(columns.max()) + 1
    counts = np.bincount(rows * num_columns + columns, minlength=(int(rows.max()) + 1) * num_columns)
    return counts.reshape(-1, num_columns).astype(np.float64)
