import pytest
import torch

from ganspace_topdis.errors import TopdisError
from vae.training.gradients import step_gradient

POINT = torch.tensor([1.0, 2.0, -1.0], requires_grad=True)


def gradient(orthogonalize, topdis, *, point=POINT):
    """Reconstruction pulls along x, the penalty along y; `topdis` is a direction (3,)."""
    loss = None if topdis is None else (torch.tensor(topdis) * point).sum()
    (found,) = step_gradient(
        [point], reconstruction=2 * point[0], penalty=3 * point[1], topdis=loss, orthogonalize=orthogonalize
    )
    return found.tolist()


def test_without_topdis_the_gradient_is_that_of_the_sum():
    assert gradient("reconstruction", None) == [2, 3, 0]


def test_without_orthogonalisation_everything_adds_up():
    assert gradient("none", [-5.0, -7.0, 1.0]) == [-3, -4, 1]


def test_topdis_may_not_work_against_reconstruction():
    assert gradient("reconstruction", [-5.0, -7.0, 1.0]) == [2, -4, 1]
    assert gradient("reconstruction", [5.0, -7.0, 1.0]) == [7, -4, 1]


def test_topdis_may_not_work_against_all_other_terms_together():
    found = torch.tensor(gradient("all", [-5.0, -7.0, 1.0])) - torch.tensor([2.0, 3.0, 0.0])
    assert abs(found @ torch.tensor([2.0, 3.0, 0.0])) < 1e-5
    expected = torch.tensor([-5.0, -7.0, 1.0]) + 31 / 13 * torch.tensor([2.0, 3.0, 0.0])
    assert torch.allclose(found, expected)


@pytest.mark.parametrize("orthogonalize", ["none", "reconstruction", "all"])
def test_terms_that_share_a_graph_are_differentiated_like_terms_that_do_not(orthogonalize):
    shared = POINT.square()
    terms = {"reconstruction": shared[0], "penalty": shared.sum(), "topdis": -shared[0] + shared[2]}
    (together,) = step_gradient([POINT], orthogonalize=orthogonalize, **terms)
    apart = dict(zip(terms, separate_terms(), strict=True))
    assert torch.allclose(together, step_gradient([POINT], orthogonalize=orthogonalize, **apart)[0])


def separate_terms():
    return POINT.square()[0], POINT.square().sum(), -POINT.square()[0] + POINT.square()[2]


@pytest.mark.parametrize("name", ["reconstruction", "penalty", "topdis"])
def test_a_gradient_that_is_not_finite_is_blamed_on_its_term(name):
    terms = {"reconstruction": POINT[0], "penalty": POINT[1], "topdis": POINT[2]}
    terms[name] = (POINT[0] - 1).abs().sqrt()
    with pytest.raises(TopdisError, match=f"the gradient of {name} is not finite"):
        step_gradient([POINT], orthogonalize="reconstruction", **terms)
