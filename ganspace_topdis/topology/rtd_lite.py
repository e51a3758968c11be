"""RTD-Lite: the part of RTD that minimum spanning trees see (Tulchinskii et al., AISTATS 2025).

RTD-Lite(A, B) = (MST(A) + MST(B)) / 2 - MST(min(A, B)),   MST: total weight of a minimum spanning tree
"""

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.topology.distances import normalized_distances

__all__ = ["rtd_lite"]


def rtd_lite(x: Tensor, y: Tensor) -> Tensor:
    """RTD-Lite of two corresponding clouds (N, ...), a differentiable scalar; never above their RTD."""
    if len(x) != len(y) or len(x) < 2:
        raise InvalidArgumentError(f"x has {len(x)} points and y has {len(y)}: both need the same number, at least 2")
    with torch.autocast(x.device.type, enabled=False):
        A, B = normalized_distances(x.flatten(1)), normalized_distances(y.flatten(1))
        return (_tree_weight(A) + _tree_weight(B)) / 2 - _tree_weight(torch.minimum(A, B))


def _tree_weight(M: Tensor) -> Tensor:
    """Total weight of a minimum spanning tree of the complete graph with weights M (N, N): Prim, O(N^2)."""
    weights = M.detach().cpu().numpy()
    n = len(weights)
    nearest = np.zeros(n, np.int64)
    reach = weights[0].copy()
    reach[0] = np.inf
    ends = np.empty((2, n - 1), np.int64)
    for step in range(n - 1):
        k = int(reach.argmin())
        ends[:, step] = nearest[k], k
        closer = (weights[k] < reach) & np.isfinite(reach)
        nearest[closer] = k
        reach[closer] = weights[k][closer]
        reach[k] = np.inf
    i, j = torch.from_numpy(ends).to(M.device)
    return M[i, j].sum()
