import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from ganspace_topdis.topology import cloud_barcodes, cross_barcode, plot_bars, rtd
from tests.topology.cases import check_cases, check_pair
from tests.topology.pairs import KINDS, distances_of_kind, outer_and_inner, pair_of_kind, sorted_bars

ORDINARY, DEGENERATE = ("gaussian", "near"), ("duplicates", "coincident", "zero one two")


@settings(max_examples=300)
@given(outer_and_inner(max_points=24), st.randoms(use_true_random=False))
def test_bars_are_ripsers_and_the_definitions_in_order_of_death_and_blind_to_labels(pair, random):
    order = list(range(len(pair[0])))
    random.shuffle(order)
    check_pair(*pair, np.array(order))


@pytest.mark.slow
def test_all_of_that_holds_in_ten_thousand_cases():
    assert check_cases(10_000, seed=0).total() == 10_000


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_that_holds_of_few_points_of_every_kind(kind):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(2, 10))
        check_pair(*pair_of_kind(kind, n, rng), rng.permutation(n))


@pytest.mark.parametrize("n", [63, 64, 65, 128, 129, 193])
@pytest.mark.parametrize("kind", ORDINARY)
def test_bars_equal_ripsers_around_the_sizes_of_a_word(kind, n):
    rng = np.random.default_rng(n)
    check_pair(*pair_of_kind(kind, n, rng), rng.permutation(n))


@pytest.mark.parametrize("n", [64, 65, 128])
@pytest.mark.parametrize("kind", DEGENERATE)
def test_bars_of_degenerate_pairs_equal_ripsers_beyond_one_word(kind, n):
    rng = np.random.default_rng(n)
    A, B = distances_of_kind(kind, n, rng)
    A, B = (np.round(M, 3).astype(np.float32) for M in (A, B))
    check_pair(A, np.minimum(A, B), rng.permutation(n))


@pytest.mark.parametrize("n", [63, 64, 65, 127, 128, 129, 191, 192, 193, 257, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_points_has_bars_in_order_of_death_that_ignore_labels(kind, n):
    rng = np.random.default_rng(n)
    for _ in range(3):
        outer, inner = pair_of_kind(kind, n, rng)
        order = rng.permutation(n)
        bars = cross_barcode(outer, inner)
        relabeled = cross_barcode(outer[np.ix_(order, order)], inner[np.ix_(order, order)])
        assert (np.diff(bars.deaths) >= 0).all()
        assert (sorted_bars(relabeled) == sorted_bars(bars)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [2.0**-140, 2.0**-60, 2.0**60])
def test_bars_scale_with_the_distances(kind, scale):
    A, B = distances_of_kind(kind, 40, np.random.default_rng(7))
    outer, inner = (np.round(4 * M).astype(np.float32) for M in (np.maximum(A, B), B))
    scaled = cross_barcode(*(M * np.float32(scale) for M in (outer, inner)))
    assert (sorted_bars(scaled) == sorted_bars(cross_barcode(outer, inner)) * np.float64(np.float32(scale))).all()


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


def test_equal_matrices_have_no_bars():
    A, _ = distances_of_kind("gaussian", 40, np.random.default_rng(3))
    assert len(cross_barcode(A, A)) == 0


def test_tensors_give_the_bars_of_their_arrays():
    A, B = distances_of_kind("gaussian", 20, np.random.default_rng(6))
    outer, inner = A.astype(np.float32), np.minimum(A, B).astype(np.float32)
    found = cross_barcode(torch.from_numpy(outer).requires_grad_(), torch.from_numpy(inner))
    assert (sorted_bars(found) == sorted_bars(cross_barcode(outer, inner))).all()


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
        ([[0.0], [1.0, 2.0]], bad(), "outer is not a matrix"),
        (torch.zeros(3, 3).to_sparse(), bad(), "outer is a tensor of torch.float32 and torch.sparse_coo"),
        (bad(), torch.zeros(3, 3, dtype=torch.bfloat16), "inner is a tensor of torch.bfloat16"),
    ],
)
def test_a_bad_matrix_is_named_with_its_value(outer, inner, message):
    with pytest.raises(InvalidArgumentError, match=message):
        cross_barcode(outer, inner)


pytest.importorskip("matplotlib")


def clouds() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(20, 2, generator=generator), torch.randn(20, 3, generator=generator)


def test_the_two_barcodes_are_the_two_directions_of_rtd():
    x, y = clouds()
    one, two = cloud_barcodes(x, y)
    assert (one.lengths.sum() + two.lengths.sum()) / 2 == pytest.approx(float(rtd(x, y)), rel=1e-5)


def test_a_picture_of_the_bars_is_written(tmp_path):
    path = plot_bars(*clouds(), tmp_path / "bars.png")
    with Image.open(path) as picture:
        assert picture.size == (1350, 600)
        assert len(picture.convert("L").histogram()) - picture.convert("L").histogram().count(0) > 10


def test_no_bar_leaves_its_panel(tmp_path, monkeypatch):
    ends: list[float] = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig",
        lambda figure, *args, **options: ends.extend(axis.get_xlim()[1] for axis in figure.axes),
    )
    plot_bars(*clouds(), tmp_path / "limits.png")
    longest = max(float(bars.deaths.max()) for bars in cloud_barcodes(*clouds()))
    assert min(ends) >= longest  # no bar leaves either panel


def test_identical_clouds_draw_an_empty_picture(tmp_path):
    x, _ = clouds()
    assert plot_bars(x, x, tmp_path / "bars.png").exists()


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(RunFolderError):
        plot_bars(*clouds(), tmp_path / "missing" / "bars.png")


def test_arrays_are_refused_with_what_to_do():
    with pytest.raises(InvalidArgumentError, match=r"x is a ndarray, but must be a torch tensor: use torch.from_numpy"):
        cloud_barcodes(np.zeros((5, 2)), np.zeros((5, 2)))
