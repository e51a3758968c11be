"""RTD-Lite: the part of RTD given by minimum spanning trees (Tulchinskii et al., AISTATS 2025).

With MST the total weight of a minimum spanning tree of the complete graph,

    min variant  (MST(A) + MST(B)) / 2 - MST(min(A, B))     max variant  MST(max(A, B)) - (MST(A) + MST(B)) / 2

and minmax their sum. It costs O(N^2), contains H0 only, and its min variant is a lower bound of RTD.
Kruskal's algorithm gives its barcode: an edge of the inner tree merges two clusters at its weight, and the outer tree
merges the same two at a later weight, so the lengths of these bars add up to the difference of the trees' weights.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.topology.backend import spanning_tree
from ganspace_topdis.topology.barcode import checked_pair
from ganspace_topdis.topology.distances import as_point_pairs, normalized_distances, require_finite
from ganspace_topdis.topology.rtd import Variant

__all__ = ["LiteBarcode", "lite_barcode", "rtd_lite"]


@dataclass(frozen=True, kw_only=True)
class LiteBarcode:
    """births, deaths: (K,) values of the bars of positive length, in order of birth."""

    births: NDArray[np.floating]
    deaths: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.births)


def rtd_lite(x: Tensor, y: Tensor, *, variant: Variant = "min") -> Tensor:
    """RTD-Lite of clouds x, y (N, ...), where point i of x corresponds to point i of y. A differentiable scalar.

    The distances of each cloud are divided by their 0.9 quantile, as in `rtd`. The gradient of a tree's weight is one
    on its edges.

    Args:
        x: (N, ...), N >= 2.
        y: (N, ...); the dimension of its points may differ from that of x.
        variant: "min", "max" or "minmax"; see the module.

    Raises:
        InvalidArgumentError: the variant is unknown, the clouds do not fit each other, or a coordinate is not finite.

    >>> cloud = torch.tensor([[0.0], [1.0], [3.0]])
    >>> float(rtd_lite(cloud, 2 * cloud))
    0.0
    """
    if variant not in get_args(Variant):
        raise InvalidArgumentError(f"`variant` is {variant!r}: choose 'min', 'max' or 'minmax'", field="variant")
    with torch.autocast(x.device.type if isinstance(x, Tensor) else "cpu", enabled=False):
        A, B = (normalized_distances(points) for points in as_point_pairs(x, y))
        combined = {"min": [torch.minimum], "max": [torch.maximum], "minmax": [torch.minimum, torch.maximum]}
        matrices = torch.stack([A, B, *(combine(A, B) for combine in combined[variant])])
        own_A, own_B, *others = _tree_weights(matrices)
        mean = (own_A + own_B) / 2
        if variant == "min":
            return mean - others[0]
        return others[0] - mean if variant == "max" else others[1] - others[0]


def _tree_weights(matrices: Tensor) -> Tensor:
    """(M,) total weights of minimum spanning trees of matrices (M, N, N), which are copied to the CPU once.

    The first two are those of x and y.
    """
    weights = matrices.detach().cpu()
    require_finite(x=weights[0], y=weights[1])
    trees = torch.from_numpy(np.stack([spanning_tree(w) for w in weights.numpy()])).to(matrices.device)
    number = torch.arange(len(weights), device=matrices.device)[:, None]
    return matrices[number, trees[..., 0], trees[..., 1]].sum(dim=1)


def lite_barcode(outer: ArrayLike, inner: ArrayLike) -> LiteBarcode:
    """RTD-Lite's barcode of two (N, N) distance matrices, inner <= outer (see `cross_barcode`).

    The lengths of its bars add up to MST(outer) - MST(inner). For the two barcodes of the min variant pass A, then
    B, as outer and min(A, B) as inner.

    Raises:
        InvalidArgumentError: a matrix is not a distance matrix of float32 or float64, or inner exceeds outer.

    >>> import numpy as np
    >>> outer = np.array([[0, 3, 4], [3, 0, 5], [4, 5, 0]], float)
    >>> inner = np.array([[0, 1, 4], [1, 0, 4], [4, 4, 0]], float)
    >>> bars = lite_barcode(outer, inner)
    >>> bars.births, bars.deaths
    (array([1.]), array([3.]))
    """
    U, V = checked_pair(outer, inner)
    inner_tree = spanning_tree(V)
    values = V[inner_tree[:, 0], inner_tree[:, 1]]
    order = np.argsort(values, kind="stable")
    forest = _Tree(len(V), spanning_tree(U), U)
    births = values[order]
    deaths = np.array([forest.exchange(*edge) for edge in inner_tree[order].tolist()], births.dtype)
    kept = deaths > births
    return LiteBarcode(births=births[kept], deaths=deaths[kept])


class _Tree:
    """A spanning tree whose edges are replaced one by one by edges of length zero."""

    def __init__(self, num_points: int, edges: NDArray[np.int64], lengths: NDArray[np.floating]) -> None:
        self.parent = [-1] * num_points
        self.length = [0.0] * num_points
        for i, j in edges.tolist():
            self._hang(j, i, float(lengths[i, j]))

    def exchange(self, a: int, b: int) -> float:
        """Replace the longest edge on the path from a to b by the edge (a, b), and return its length."""
        self._make_root(a)
        longest, v = b, b
        while v != a:
            if self.length[v] > self.length[longest]:
                longest = v
            v = self.parent[v]
        value = self.length[longest]
        self.parent[longest] = -1
        self._hang(b, a, -1.0)
        return value

    def _hang(self, child: int, parent: int, length: float) -> None:
        self._make_root(child)
        self.parent[child], self.length[child] = parent, length

    def _make_root(self, v: int) -> None:
        above, length = -1, 0.0
        while v != -1:
            parent, old = self.parent[v], self.length[v]
            self.parent[v], self.length[v] = above, length
            above, length, v = v, old, parent
