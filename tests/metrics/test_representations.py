import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics import nts, srtd
from ganspace_topdis.metrics.representations import compare_clouds, dissimilarities
from ganspace_topdis.topology import rtd_score
from tests.metrics.kinds import draw_kind

ALL = ("rtd", "rtd-lite", "srtd", "srtd-lite", "nts-e", "nts-m")
RNG = np.random.default_rng(0)
CLOUD = RNG.normal(size=(50, 4))
NEAR = CLOUD + 0.3 * RNG.normal(size=CLOUD.shape)
PUBLISHED: Any = json.loads((Path(__file__).parent / "reference" / "published.json").read_text())["representations"]


def values(x: Any, y: Any, **settings: Any) -> dict[str, float]:
    return {each.score: each.mean for each in compare_clouds([x, y], scores=ALL, **settings)}


@pytest.mark.parametrize("kind", PUBLISHED)
def test_the_scores_are_those_of_the_authors_code(kind: str) -> None:
    ours = values(draw_kind("perfect", 60)[0], draw_kind(kind, 60)[0])
    for score, theirs in PUBLISHED[kind].items():
        close = 1e-5 if score == "srtd" else 1e-9  # their SRTD is ripser's, in single precision
        assert ours[score] == pytest.approx(theirs, abs=close, rel=close), score


def test_equal_clouds_up_to_rotation_scale_and_place_have_no_divergence_and_full_similarity() -> None:
    turned = 3 * CLOUD @ np.linalg.qr(RNG.normal(size=(4, 4)))[0] + 1
    assert values(CLOUD, turned) == pytest.approx(dict.fromkeys(ALL[:4], 0.0) | dict.fromkeys(ALL[4:], 1.0), abs=1e-6)


def test_the_scores_are_symmetric_and_do_not_depend_on_the_order_of_points() -> None:
    order = RNG.permutation(50)
    expected = pytest.approx(values(CLOUD, NEAR), abs=1e-9)
    assert values(NEAR, CLOUD) == expected
    assert values(CLOUD[order], NEAR[order]) == expected


def test_srtd_is_at_least_srtd_lite_which_lies_above_rtd_lite() -> None:
    scores = values(CLOUD, NEAR)
    assert scores["rtd-lite"] <= scores["srtd-lite"] <= scores["srtd"]


def test_merge_distances_are_those_of_single_linkage() -> None:
    from scipy.cluster.hierarchy import cophenet, linkage
    from scipy.spatial.distance import pdist
    from scipy.stats import spearmanr

    from ganspace_topdis.metrics.representations import _distances, _merge_distances
    from ganspace_topdis.topology.backend import spanning_tree

    first, second = _distances(CLOUD, NEAR)
    expected = cophenet(linkage(pdist(CLOUD), "single"))
    joined = _merge_distances(np.sort(spanning_tree(first), axis=1), first)[np.triu_indices(50, 1)]
    assert joined / joined.max() == pytest.approx(expected / expected.max())
    assert -1 <= nts(CLOUD, NEAR).merges <= 1
    edges = np.unique(np.sort(np.concatenate([spanning_tree(each) for each in (first, second)]), axis=1), axis=0)
    lengths = [each[edges[:, 0], edges[:, 1]] for each in (first, second)]
    assert nts(CLOUD, NEAR).edges == pytest.approx(spearmanr(*lengths)[0])


def test_similarity_of_equidistant_points_is_zero_and_of_two_is_refused() -> None:
    assert nts(np.eye(5), CLOUD[:5]).edges == 0
    with pytest.raises(InvalidArgumentError, match="three points"):
        nts(CLOUD[:2], NEAR[:2])


def test_subsets_are_those_of_rtd_score_and_their_interval_covers_the_mean() -> None:
    found = compare_clouds([CLOUD, NEAR], trials=5, batch=20, seed=3)[0]
    assert found.values == rtd_score(torch.from_numpy(CLOUD), torch.from_numpy(NEAR), 5, 20, seed=3).values
    low, high = found.interval
    assert low < found.mean < high
    assert high - low == pytest.approx(2 * 2.776445 * found.std / 5**0.5)  # Student's t with four degrees of freedom


def test_similarities_become_dissimilarities() -> None:
    pairs = compare_clouds([CLOUD, NEAR, CLOUD], scores=["nts-m", "rtd"])
    matrix = dissimilarities(pairs, "nts-m", 3)
    assert matrix[0, 2] == pytest.approx(0)
    assert 0 < matrix[0, 1] == matrix[1, 0] <= 1
    assert dissimilarities(pairs, "rtd", 3)[0, 1] == pairs[1].mean


def test_clouds_that_do_not_belong_together_are_refused() -> None:
    for clouds in ([CLOUD], [CLOUD, CLOUD[:5]]):
        with pytest.raises(InvalidArgumentError, match="two or more of the same points"):
            compare_clouds(clouds)
    with pytest.raises(InvalidArgumentError, match="choose from rtd"):
        compare_clouds([CLOUD, NEAR], scores=["cka"])
    with pytest.raises(InvalidArgumentError, match="at least 1 and 2"):
        compare_clouds([CLOUD, NEAR], trials=0)
    with pytest.raises(InvalidArgumentError):
        srtd(CLOUD, np.full_like(CLOUD, np.nan))


@pytest.mark.parametrize("score", [srtd, nts])
def test_arrays_in_any_order_are_taken(score: Any) -> None:
    cloud, other = np.random.default_rng(0).normal(size=(2, 12, 3))
    plain = score(cloud[::-1].copy(), other[::-1].copy())
    assert score(cloud[::-1], other[::-1]) == plain
    assert score(cloud[::-1].astype(">f8"), other[::-1].tolist()) == plain


def test_points_that_are_not_finite_are_refused_by_name() -> None:
    broken = CLOUD.copy()
    broken[3, 0] = np.nan
    for score in (nts, srtd):
        with pytest.raises(InvalidArgumentError, match="y holds values that are NaN"):
            score(CLOUD, broken)


def test_complex_points_are_refused() -> None:
    for score in (nts, srtd):
        with pytest.raises(InvalidArgumentError, match="must be real points"):
            score(CLOUD + 1j, CLOUD)
    with pytest.raises(InvalidArgumentError, match="must be real points"):
        compare_clouds([CLOUD + 1j, CLOUD])


def test_clouds_may_be_lists_also_in_subsets_and_seeds_are_checked() -> None:
    listed = compare_clouds([CLOUD.tolist(), NEAR.tolist()], scores=ALL, batch=20, trials=2)
    assert listed == compare_clouds([CLOUD, NEAR], scores=ALL, batch=20, trials=2)
    with pytest.raises(InvalidArgumentError, match="`seed` is -1"):
        compare_clouds([CLOUD, NEAR], seed=-1)
