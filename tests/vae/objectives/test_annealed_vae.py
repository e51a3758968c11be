import pytest

from vae.objectives.annealed_vae import AnnealedVAE, linear_capacity


def test_the_capacity_grows_linearly_and_stays():
    assert [linear_capacity(step, 50.0, 1000) for step in (0, 250, 1000, 5000)] == [0, 12.5, 50, 50]
    assert linear_capacity(0, 50.0, 0) == 50


@pytest.mark.parametrize("capacity", [0.0, 100.0])
def test_the_penalty_is_the_weighted_distance_to_the_capacity_from_either_side(posterior, problem, capacity):
    objective = AnnealedVAE(AnnealedVAE.Options(gamma=3.0, capacity=capacity, capacity_steps=0), problem)
    penalty = objective.penalty(posterior, 0)
    distance = abs(penalty.report["kl"].item() - capacity)
    assert distance > 1
    assert penalty.loss.item() == pytest.approx(3 * distance)
    assert penalty.report["capacity"] == capacity
