import pytest

from ganspace_topdis.errors import InvalidArgumentError
from vae.evaluation.metrics import ALL_GROUPS, GROUPS_WITH_FACTORS, METRICS, groups_for, metric_name


def test_every_key_and_name_is_there_once() -> None:
    assert len({metric.key for metric in METRICS}) == len({metric.name for metric in METRICS}) == len(METRICS)


def test_all_groups_but_the_slow_one_are_the_default_where_factors_are_known() -> None:
    assert set(ALL_GROUPS) - set(groups_for(None, has_factors=True)) == {"mig-sampled"}


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
