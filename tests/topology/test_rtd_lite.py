import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.topology import lite_barcode, rtd, rtd_lite
from ganspace_topdis.topology.distances import normalized_distances
from tests.topology.pairs import KINDS, distances_of_kind


def tree_weight(matrix: np.ndarray) -> float:
    return float(minimum_spanning_tree(np.triu(matrix, 1)).sum())


def clouds(n: int = 40, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    return x, x + torch.randn(n, 3, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("seed", range(5))
def test_values_equal_scipys_spanning_trees(seed):
    x, y = clouds(seed=seed)
    A, B = (normalized_distances(c).numpy() for c in (x, y))
    mean = (tree_weight(A) + tree_weight(B)) / 2
    low, high = mean - tree_weight(np.minimum(A, B)), tree_weight(np.maximum(A, B)) - mean
    for variant, value in (("min", low), ("max", high), ("minmax", low + high)):
        assert float(rtd_lite(x, y, variant=variant)) == pytest.approx(value)


@pytest.mark.parametrize("seed", range(5))
def test_rtd_lite_lies_below_rtd(seed):
    x, y = clouds(seed=seed)
    assert 0 < rtd_lite(x, y) <= rtd(x, y) + 1e-12


def test_identical_clouds_have_no_divergence():
    x, _ = clouds()
    assert rtd_lite(x, x, variant="minmax") == 0


@pytest.mark.parametrize("variant", ["min", "max", "minmax"])
def test_the_gradient_is_that_of_the_value_with_the_scale_held_fixed(variant):
    x, y = (c.requires_grad_() for c in clouds(n=10))
    gradients = torch.autograd.grad(rtd_lite(x, y, variant=variant), (x, y))
    scales = [torch.quantile(torch.cdist(c, c).detach(), 0.9) for c in (x, y)]

    def value(x: torch.Tensor, y: torch.Tensor) -> float:
        A, B = (torch.cdist(c, c).numpy() / float(s) for c, s in zip((x, y), scales, strict=True))
        mean = (tree_weight(A) + tree_weight(B)) / 2
        low, high = mean - tree_weight(np.minimum(A, B)), tree_weight(np.maximum(A, B)) - mean
        return {"min": low, "max": high, "minmax": low + high}[variant]

    for which in range(2):
        step = torch.zeros(2, 10, 3, dtype=torch.float64)
        for place in ((0, 0), (3, 1), (9, 2)):
            step.zero_()[which][place] = 1e-6
            up, down = (value(*(torch.stack([x, y]).detach() + sign * step)) for sign in (1, -1))
            assert float(gradients[which][place]) == pytest.approx((up - down) / 2e-6, abs=1e-6)


@settings(max_examples=100)
@given(st.sampled_from(KINDS), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_the_bars_add_up_to_the_difference_of_the_trees(kind, n, seed):
    A, B = distances_of_kind(kind, n, np.random.default_rng(seed))
    for outer, inner in ((A, np.minimum(A, B)), (B, np.minimum(A, B)), (np.maximum(A, B), B)):
        bars = lite_barcode(outer, inner)
        assert (bars.births < bars.deaths).all()
        assert (np.diff(bars.births) >= 0).all()
        assert (bars.deaths - bars.births).sum() == pytest.approx(full_tree(outer) - full_tree(inner), abs=1e-9)


def full_tree(matrix: np.ndarray) -> float:
    """Weight of a minimum spanning tree where a zero is a length: scipy reads it as no edge."""
    shifted = minimum_spanning_tree(np.triu(matrix + 1, 1))
    return float(shifted.sum() - shifted.nnz)


def test_a_death_is_when_the_outer_tree_joins_the_clusters_of_the_birth():
    inner = np.array([[0, 1, 9, 9], [1, 0, 9, 2], [9, 9, 0, 1.5], [9, 2, 1.5, 0]])
    outer = np.array([[0, 5, 9, 9], [5, 0, 4, 9], [9, 4, 0, 1.5], [9, 9, 1.5, 0]])
    inner = np.minimum(inner, outer)
    bars = lite_barcode(outer, inner)
    # 0-1 join at 1, in the outer tree at 5; {0, 1} and {2, 3} at 2, there at 4; 2-3 at 1.5 in both.
    assert bars.births.tolist() == [1, 2]
    assert bars.deaths.tolist() == [5, 4]


def test_bad_input_is_refused():
    x, y = clouds()
    with pytest.raises(InvalidArgumentError, match="`variant` is 'mean'"):
        rtd_lite(x, y, variant="mean")
    with pytest.raises(InvalidArgumentError, match="same number of points"):
        rtd_lite(x, y[1:])
    with pytest.raises(InvalidArgumentError, match="NaN"):
        rtd_lite(x * torch.nan, y)
