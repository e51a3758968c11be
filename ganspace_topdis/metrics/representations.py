"""Representations of the same examples compared by their topology: RTD, RTD-Lite, SRTD, SRTD-Lite and NTS.

With A, B the distance matrices of two clouds, each divided by its own 0.9 quantile, S(outer, inner) the total length of
the bars of the cross-barcode in dimension 1, and MST the weight of a minimum spanning tree:

    RTD         (S(A, min(A, B)) + S(B, min(A, B))) / 2          Barannikov et al. 2022
    RTD-Lite    (MST(A) + MST(B)) / 2 - MST(min(A, B))           Tulchinskii et al. 2025
    SRTD        S(max(A, B), min(A, B))                          Wang & Hu 2026 (arXiv 2606.06342)
    SRTD-Lite   MST(max(A, B)) - MST(min(A, B))
    NTS-E       Spearman correlation, over the edges in either minimum spanning tree, of their lengths in A and B
    NTS-M       the same of the distances at which single linkage joins the edges' ends

Divergences are 0 for equal topology, not bounded, and grow with the number of points. NTS lies in [-1, 1] and is 1 for
equal orders; it does not depend on scale. The authors' code (srtd_nts) takes the 0.9 quantile over pairs i < j, where
RTD's takes it over the whole matrix, as here; on the same matrices all scores are equal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from ganspace_topdis.metrics.inputs import Array, rng_of
from ganspace_topdis.options import check_names, check_seed
from ganspace_topdis.runs.archives import parse_npy
from ganspace_topdis.runs.reading import ReadingError, parsing, read_bytes

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["NTS", "SIMILARITIES", "PairScore", "compare_clouds", "dissimilarities", "load_cloud", "nts", "srtd"]

_MAX_BYTES = 16 << 30


@dataclass(frozen=True)
class NTS:
    """Normalized topological similarity, each in [-1, 1].

    Attributes:
        edges: NTS-E, from the lengths of the trees' edges.
        merges: NTS-M, from the distances at which the edges' ends are joined; stable where lengths are nearly tied.
    """

    edges: float
    merges: float


def srtd(x: Any, y: Any) -> float:
    """SRTD of clouds x, y (N, ...), point i of x corresponding to point i of y; 0 for equal topology.

    Raises:
        InvalidArgumentError: clouds that do not fit each other, or a coordinate that is not finite.

    >>> square = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    >>> round(srtd(square, 3 * square), 12)
    0.0
    """
    from ganspace_topdis.topology.barcode import cross_barcode

    a, b = _distances(x, y)
    return float(cross_barcode(np.maximum(a, b), np.minimum(a, b)).lengths.sum())


def nts(x: Any, y: Any) -> NTS:
    """NTS-E and NTS-M of clouds x, y (N, ...), N >= 3, point i of x corresponding to point i of y.

    Where all lengths of a cloud are equal no order exists, and the correlation is 0; the authors' code returns NaN.

    Raises:
        InvalidArgumentError: fewer than three points, or as `srtd`.
    """
    from ganspace_topdis.topology.backend import spanning_tree

    a, b = _distances(x, y)
    if len(a) < 3:
        raise InvalidArgumentError(f"{len(a)} points have a single edge; give three points or more")
    trees = [np.sort(spanning_tree(matrix), axis=1) for matrix in (a, b)]
    edges = np.unique(np.concatenate(trees), axis=0)
    merges = [_merge_distances(tree, matrix) for tree, matrix in zip(trees, (a, b), strict=True)]
    return NTS(
        edges=_spearman(*(matrix[edges[:, 0], edges[:, 1]] for matrix in (a, b))),
        merges=_spearman(*(matrix[edges[:, 0], edges[:, 1]] for matrix in merges)),
    )


@dataclass(frozen=True)
class PairScore:
    """One score of two clouds, over subsets.

    Attributes:
        first: index of one cloud.
        second: index of the other.
        score: its name, see `compare_clouds`.
        values: (trials,), of each subset.
    """

    first: int
    second: int
    score: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the subsets."""
        return float(np.mean(self.values))

    @property
    def std(self) -> float:
        """Standard deviation over the subsets (unbiased; 0 for one)."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean, by Student's t."""
        from scipy.stats import t

        if len(self.values) < 2:
            return self.mean, self.mean
        half = float(t.ppf(0.975, len(self.values) - 1)) * self.std / len(self.values) ** 0.5
        return self.mean - half, self.mean + half


def _rtd(x: Any, y: Any) -> float:
    from ganspace_topdis.topology.rtd import rtd

    return float(rtd(*_tensors(x, y)))


def _rtd_lite(x: Any, y: Any) -> float:
    from ganspace_topdis.topology.rtd_lite import rtd_lite

    return float(rtd_lite(*_tensors(x, y)))


def _srtd_lite(x: Any, y: Any) -> float:
    from ganspace_topdis.topology.rtd_lite import rtd_lite

    return float(rtd_lite(*_tensors(x, y), variant="minmax"))


_SCORES: dict[str, Callable[[Any, Any], float]] = {
    "rtd": _rtd,
    "rtd-lite": _rtd_lite,
    "srtd": srtd,
    "srtd-lite": _srtd_lite,
    "nts-e": lambda x, y: nts(x, y).edges,
    "nts-m": lambda x, y: nts(x, y).merges,
}
SIMILARITIES = ("nts-e", "nts-m")
"""Scores of which 1 is best; all others are divergences."""


def compare_clouds(
    clouds: Sequence[Any],
    *,
    scores: Sequence[str] = ("rtd",),
    trials: int = 10,
    batch: int = 500,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[PairScore]:
    """Every score of every pair of clouds over random subsets, the same subsets for all pairs.

    Subsets of 500 points, ten times, are those of Barannikov et al. 2022. A set of at most `batch` points is one trial.

    Args:
        clouds: two or more tensors (N, ...) of the same N points.
        scores: names among rtd, rtd-lite, srtd, srtd-lite, nts-e, nts-m.
        trials: random subsets.
        batch: points of a subset.
        seed: of the draws, as in `topology.rtd_score`.
        progress: called with the number of pairs done and in total.

    Raises:
        InvalidArgumentError: fewer than two clouds, an unknown score, counts out of range, or clouds that do not fit.
    """
    clouds = [_as_tensor(cloud) for cloud in clouds]
    sizes = [np.shape(cloud)[0] if np.ndim(cloud) else 0 for cloud in clouds]
    if len(clouds) < 2 or len(set(sizes)) > 1 or sizes[0] < 2:
        raise InvalidArgumentError(f"{len(clouds)} clouds of {sizes} points; give two or more of the same points")
    check_names(scores, _SCORES, "scores")
    if trials < 1 or batch < 2:
        raise InvalidArgumentError(f"`trials` {trials} and `batch` {batch}: use at least 1 and 2")
    check_seed(seed)
    num_points, rng = sizes[0], rng_of(seed)
    size = min(batch, num_points)
    subsets = [np.sort(rng.choice(num_points, size, replace=False)) for _ in range(trials if size < num_points else 1)]
    pairs = [(i, j) for i in range(len(clouds)) for j in range(i + 1, len(clouds))]
    found = []
    for done, (i, j) in enumerate(pairs, start=1):
        for name in scores:
            values = (_SCORES[name](clouds[i][rows], clouds[j][rows]) for rows in subsets)
            found.append(PairScore(i, j, name, tuple(values)))
        if progress is not None:
            progress(done, len(pairs))
    return found


def dissimilarities(pairs: Sequence[PairScore], score: str, num_clouds: int) -> Array:
    """One score of all pairs as a symmetric matrix (M, M) with 0 on the diagonal; of NTS, (1 - NTS) / 2."""
    matrix = np.zeros((num_clouds, num_clouds))
    for pair in pairs:
        if pair.score == score:
            value = (1 - pair.mean) / 2 if score in SIMILARITIES else pair.mean
            matrix[pair.first, pair.second] = matrix[pair.second, pair.first] = value
    return matrix


def load_cloud(path: Path) -> "Tensor":
    """The array in a .npy file as a float tensor. Nothing in the file is executed.

    Raises:
        TopdisError: the file is missing, no .npy, damaged, or holds objects.
        InvalidArgumentError: the numbers are complex.
    """
    import torch

    try:
        array = parse_npy(read_bytes(path, _MAX_BYTES))
        if array.dtype.kind == "c":
            raise InvalidArgumentError(f"{path} holds complex numbers; save an array of real ones with numpy.save")
        with parsing():  # a copy, since torch does not accept read-only memory
            return torch.from_numpy(
                array.astype(array.dtype if array.dtype in (np.float32, np.float64) else np.float64)
            )
    except ReadingError as error:
        raise TopdisError(f"{path} cannot be read as a .npy file of numbers ({error}); check the path") from error


def _tensors(x: Any, y: Any) -> list[Any]:
    return [_as_tensor(x), _as_tensor(y)]


def _as_tensor(cloud: Any) -> Any:
    """A cloud as a tensor of floating-point numbers; of complex ones, which are refused later, as it is."""
    import torch

    tensor = torch.as_tensor(cloud if isinstance(cloud, torch.Tensor) else _native(cloud)).detach()
    return tensor if tensor.is_floating_point() or tensor.is_complex() else tensor.double()


def _native(cloud: Any) -> Array:
    """An array that torch takes: contiguous and in the machine's order of bytes."""
    array = np.asarray(cloud)
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def _distances(x: Any, y: Any) -> tuple[Array, Array]:
    """The two normalized distance matrices (N, N)."""
    from ganspace_topdis.topology.distances import as_point_pairs, normalized_distances, require_finite

    first, second = (normalized_distances(cloud).cpu() for cloud in as_point_pairs(*_tensors(x, y)))
    require_finite(x=first, y=second)
    return first.numpy(), second.numpy()


def _merge_distances(tree: Array, matrix: Array) -> Array:
    """The distance (N, N) at which single linkage joins each pair: the longest edge on their path in the tree.

    Edges are added in order of length; each joins two clusters, and all pairs between them at once.
    """
    lengths = matrix[tree[:, 0], tree[:, 1]]
    members = [np.array([point]) for point in range(len(matrix))]
    cluster = np.arange(len(matrix))
    joined = np.zeros_like(matrix)
    for edge in np.argsort(lengths, kind="stable"):
        one, other = (members[cluster[point]] for point in tree[edge])
        joined[np.ix_(one, other)] = joined[np.ix_(other, one)] = lengths[edge]
        both = np.concatenate([one, other])
        members[cluster[tree[edge, 0]]] = both
        cluster[both] = cluster[tree[edge, 0]]
    return joined


def _spearman(a: Array, b: Array) -> float:
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(each.astype(np.float64)) for each in (a, b)])  # scipy 1.18 keeps float32
    deviations = ranks.std(axis=1)
    return float(np.corrcoef(ranks)[0, 1]) if deviations.min() > 0 else 0.0
