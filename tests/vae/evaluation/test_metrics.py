from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ganspace_topdis import metrics
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics import METRICS as GROUPS_OF_CODES
from vae.encoding import Encoded
from vae.evaluation.metrics import ALL_GROUPS, GROUPS, GROUPS_WITH_FACTORS, METRICS, groups_for, metric_name
from vae.evaluation.scores import Samples, score_all


def test_every_key_and_name_is_there_once() -> None:
    assert len({metric.key for metric in METRICS}) == len({metric.name for metric in METRICS}) == len(METRICS)


def test_all_groups_but_slow_and_recent_ones_are_the_default_where_factors_are_known() -> None:
    named = {"mig-sampled", "infomec", "edi", "dci-es", "snc-nk", "mcc", "iwo"}
    assert set(ALL_GROUPS) - set(groups_for(None, has_factors=True)) == named


def test_the_slow_group_is_computed_when_it_is_named() -> None:
    assert groups_for(("mig-sampled",), has_factors=True) == ("mig-sampled", "reconstruction")


def test_without_factors_no_group_that_needs_them_is_computed() -> None:
    assert not set(groups_for(None, has_factors=False)) & set(GROUPS_WITH_FACTORS)


@pytest.mark.parametrize("group", GROUPS_WITH_FACTORS)
def test_every_group_that_needs_factors_is_refused_without(group: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"'{group}' needs known factors"):
        groups_for((group,), has_factors=False)


def test_an_unknown_group_is_refused_with_the_known_ones_named() -> None:
    with pytest.raises(InvalidArgumentError, match=r"'nig' is unknown; choose from .*mig"):
        groups_for(("nig",), has_factors=True)


def test_an_unknown_metric_is_called_by_its_key() -> None:
    assert metric_name("mine") == "mine"


def test_every_group_of_codes_is_one_of_an_autoencoder_and_both_parts_of_sap_are_the_default() -> None:
    assert (*(group.name for group in GROUPS_OF_CODES), "mig-sampled", "reconstruction") == ALL_GROUPS
    assert {"sap", "sap-continuous"} < set(groups_for(None, has_factors=True))


SIZES = (4, 5, 6)


@pytest.fixture(scope="module")
def samples() -> Samples:
    """A grid of noisy codes, and points drawn from it as an evaluation draws them."""
    rng = np.random.default_rng(0)
    factors = np.stack(np.unravel_index(np.arange(120), SIZES), axis=1)
    means = factors / SIZES @ rng.normal(size=(3, 4)) + 0.05 * rng.normal(size=(120, 4))
    logvars = rng.normal(size=(120, 4)) - 3
    grid = Encoded(means=means.astype(np.float32), logvars=logvars.astype(np.float32), codes=factors, sizes=SIZES)
    rows = rng.integers(120, size=450)
    return Samples(train=grid.take(rows[:300]), test=grid.take(rows[300:]), grid=grid)


SEED = 3
DCI_PARTS = ("disentanglement", "completeness", "informativeness_test")
DIRECT: dict[str, Callable[[Samples, tuple[Any, ...]], list[float]]] = {
    "factor-vae": lambda s, split: [metrics.factor_vae_score(s.grid.means, SIZES, seed=SEED)],
    "mig": lambda s, split: [metrics.mig(*split[:2])],
    "mcc": lambda s, split: [metrics.mcc(*split[:2]), metrics.mcc(*split[:2], method="spearman")],
    "dci": lambda s, split: [metrics.dci(*split, seed=SEED).as_dict()[part] for part in DCI_PARTS],
    "explicitness": lambda s, split: [metrics.explicitness(*split).test],
    "sap": lambda s, split: [metrics.sap(*split)],
    "sap-continuous": lambda s, split: [metrics.sap(*split, continuous=True)],
    "mig-sampled": lambda s, split: [metrics.mig_sampled(s.grid.means, s.grid.logvars, SIZES, seed=SEED)],
}
"""What a group computes from which part of the samples; split is the codes and factors to fit on and to score on."""


@pytest.mark.parametrize("group", DIRECT)
def test_a_group_is_its_metric_of_the_points_drawn_or_of_the_whole_grid(samples: Samples, group: str) -> None:
    split = (samples.train.means, samples.train.codes, samples.test.means, samples.test.codes)
    scores = score_all(samples, [group], seed=SEED, jobs=1)
    assert tuple(scores) == next(each.keys for each in GROUPS if each.name == group)
    assert list(scores.values()) == DIRECT[group](samples, split)


def test_a_group_that_is_undefined_is_named(samples: Samples) -> None:
    one = replace(samples.train, means=samples.train.means[:, :1])
    with pytest.raises(InvalidArgumentError, match=r"^dci: codes have 1 latents"):
        score_all(Samples(train=one, test=one, grid=None), ["dci"], jobs=1)


def test_a_group_that_is_undefined_is_left_out_with_a_warning_where_it_was_not_asked_for(samples: Samples) -> None:
    one = Encoded(means=samples.train.means[:, :1], logvars=samples.train.logvars[:, :1], codes=samples.train.codes)
    single = Samples(train=one, test=one, grid=None)
    with pytest.warns(UserWarning, match="dci is left out: codes have 1 latents"):
        scores = score_all(single, ["mig", "dci"], jobs=1, optional=True)
    assert set(scores) == {"mig"}
    broken = Encoded(means=np.full_like(one.means, np.nan), logvars=one.logvars, codes=one.codes)
    with pytest.raises(InvalidArgumentError, match=r"mig: .*finite"):
        score_all(Samples(train=broken, test=broken, grid=None), ["mig", "dci"], jobs=1, optional=True)
