import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.topology import cross_barcode
from ganspace_topdis.topology.reference import reference_barcode
from tests.topology.pairs import KINDS, distances_of_kind, outer_and_inner, sorted_bars


def assert_equal_to_ripser(outer: NDArray, inner: NDArray) -> None:
    ours, theirs = sorted_bars(cross_barcode(outer, inner)), reference_barcode(outer, inner)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * max(outer.max(), 1e-300))


@settings(max_examples=300, deadline=None)
@given(outer_and_inner(max_points=24))
def test_bars_equal_ripsers_on_the_doubled_matrix(pair):
    assert_equal_to_ripser(*pair)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(outer_and_inner(max_points=60))
def test_bars_equal_ripsers_in_ten_thousand_cases(pair):
    assert_equal_to_ripser(*pair)


@pytest.mark.parametrize("n", [63, 64, 65, 128, 129])
def test_bars_equal_ripsers_around_the_sizes_of_a_word(n):
    A, B = distances_of_kind("gaussian", n, np.random.default_rng(n))
    assert_equal_to_ripser(*(M.astype(np.float32) for M in (A, np.minimum(A, B))))


def test_bars_equal_ripsers_with_many_points():
    A, B = distances_of_kind("near", 200, np.random.default_rng(0))
    assert_equal_to_ripser(*(M.astype(np.float32) for M in (np.maximum(A, B), B)))


@pytest.mark.parametrize("kind", KINDS)
def test_an_edge_names_the_value_it_is_read_from(kind):
    A, B = distances_of_kind(kind, 30, np.random.default_rng(1))
    inner = np.minimum(A, B)
    bars = cross_barcode(A, inner)
    i, j = bars.death_edges.T
    assert (bars.births == inner[bars.birth_edges[:, 0], bars.birth_edges[:, 1]]).all()
    assert (bars.deaths == np.where(bars.death_in_outer, A[i, j], inner[i, j])).all()
    assert (bars.births < bars.deaths).all()
    assert (np.diff(bars.deaths) >= 0).all()
    assert (bars.birth_edges[:, 0] < bars.birth_edges[:, 1]).all()
    assert (i < j).all()


@pytest.mark.parametrize("kind", KINDS)
def test_relabelling_the_points_leaves_the_bars_alone(kind):
    rng = np.random.default_rng(2)
    A, B = distances_of_kind(kind, 40, rng)
    inner, order = np.minimum(A, B), rng.permutation(40)
    relabelled = cross_barcode(A[np.ix_(order, order)], inner[np.ix_(order, order)])
    assert (sorted_bars(relabelled) == sorted_bars(cross_barcode(A, inner))).all()


def test_equal_matrices_have_no_bars():
    A, _ = distances_of_kind("gaussian", 40, np.random.default_rng(3))
    assert len(cross_barcode(A, A)) == 0


def test_double_precision_is_not_rounded():
    outer = np.array([[0, 1 + 1e-12], [1 + 1e-12, 0]])
    inner = np.array([[0, 1.0], [1.0, 0]])
    assert cross_barcode(outer, inner).lengths == pytest.approx([1e-12], rel=1e-3)


def test_the_same_call_gives_the_same_edges():
    A, B = distances_of_kind("small integers", 50, np.random.default_rng(4))
    one, two = (cross_barcode(np.maximum(A, B), B) for _ in range(2))
    assert (one.birth_edges == two.birth_edges).all()
    assert (one.death_edges == two.death_edges).all()


def test_a_negative_zero_is_a_zero():
    A, B = distances_of_kind("duplicates", 20, np.random.default_rng(5))
    inner = np.minimum(A, B)
    signed = np.where(inner == 0, -0.0, inner)
    assert (sorted_bars(cross_barcode(A, signed)) == sorted_bars(cross_barcode(A, inner))).all()


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_points_have_no_bars(n):
    assert len(cross_barcode(np.zeros((n, n)), np.zeros((n, n)))) == 0


def bad(**entries: float) -> NDArray[np.float64]:
    matrix = np.array([[0.0, 2.0, 2.0], [2.0, 0.0, 2.0], [2.0, 2.0, 0.0]])
    for place, value in entries.items():
        matrix[int(place[1]), int(place[2])] = value
    return matrix


@pytest.mark.parametrize(
    ("outer", "inner", "message"),
    [
        (bad(_01=np.nan), bad(), r"outer holds nan at \(0, 1\)"),
        (bad(), bad(_02=np.inf), r"inner holds inf at \(0, 2\)"),
        (bad(), bad(_02=-1.0), r"inner holds -1.0 at \(0, 2\)"),
        (bad(_01=3.0), bad(), r"outer holds 3.0 at \(0, 1\) but 2.0 at \(1, 0\)"),
        (bad(_11=1.0), bad(), r"outer holds 1.0 at \(1, 1\)"),
        (bad(), 2 * bad(), r"inner exceeds outer at \(0, 1\): 4.0 > 2.0"),
        (bad(), bad()[:2], r"inner has shape \(2, 3\)"),
        (bad(), bad()[:2, :2], "outer is 3 x 3 but inner is 2 x 2"),
        (bad().astype(int), bad(), "outer has dtype int64"),
        (bad(), bad().astype(np.float16), "inner has dtype float16"),
        (np.zeros(3), bad(), r"outer has shape \(3,\)"),
    ],
)
def test_a_bad_matrix_is_named_with_its_value(outer, inner, message):
    with pytest.raises(InvalidArgumentError, match=message):
        cross_barcode(outer, inner)
