import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from tests.metrics.kinds import draw_kind
from vae.encoding import Encoded
from vae.evaluation.metrics import ALL_GROUPS, GROUPS_WITH_FACTORS, METRICS, groups_for, metric_name
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


@pytest.mark.parametrize("group", ["infomec", "mcc"])
def test_a_recent_group_gives_the_numbers_of_its_name(group: str) -> None:
    codes, factors = draw_kind("noisy", 300)
    encoded = Encoded(means=codes.astype(np.float32), logvars=np.zeros_like(codes, dtype=np.float32), codes=factors)
    scores = score_all(Samples(train=encoded, test=encoded, grid=None), [group])
    assert set(scores) == {metric.key for metric in METRICS if metric.group == group}
