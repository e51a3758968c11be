import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.topology import rtd, rtd_score


def clouds(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    return x, x + torch.randn(n, 2, generator=torch.Generator().manual_seed(1))


def test_a_set_of_one_batch_is_scored_once_and_whole():
    x, y = clouds(30)
    score = rtd_score(x, y, trials=10, batch=30)
    assert score.values == (float(rtd(x, y)),)
    assert score.std == 0
    assert score.num_points == 30


def test_the_score_is_the_mean_and_spread_of_its_values():
    score = rtd_score(*clouds(100), trials=5, batch=20)
    values = torch.tensor(score.values, dtype=torch.float64)
    assert len(values) == 5
    assert score.mean == pytest.approx(float(values.mean()))
    assert score.std == pytest.approx(float(values.std()))
    assert score.standard_error == pytest.approx(score.std / 5**0.5)


def test_the_same_seed_draws_the_same_subsets_and_another_seed_others():
    x, y = clouds(60)
    assert rtd_score(x, y, 3, 20, seed=1) == rtd_score(x, y, 3, 20, seed=1)
    assert rtd_score(x, y, 3, 20, seed=1) != rtd_score(x, y, 3, 20, seed=2)


@pytest.mark.parametrize(("options", "message"), [({"trials": 0}, "trials is 0"), ({"batch": 1}, "batch is 1")])
def test_bad_options_are_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        rtd_score(*clouds(10), **options)
