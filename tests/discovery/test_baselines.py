import pytest
import torch

from ganspace_topdis.discovery.baselines import coordinate_axes, ganspace, ganspace_of_features, ica, sefa
from ganspace_topdis.errors import InvalidArgumentError

SCALES = torch.tensor([1.0, 3.0, 2.0, 0.5])
CODES = torch.randn(600, 4, generator=torch.Generator().manual_seed(0)) * SCALES


def isotropic(num_codes: int = 600) -> torch.Tensor:
    return torch.randn(num_codes, 4, generator=torch.Generator().manual_seed(0))


def leading(directions) -> list[int]:
    """The coordinate that each direction moves most."""
    return directions.vectors.abs().argmax(1).tolist()


def test_ganspace_and_axes_follow_the_variance_of_the_codes():
    assert leading(ganspace(CODES, 3)) == leading(coordinate_axes(CODES, 3)) == [1, 2, 0]


def test_sefa_follows_the_weights_that_read_the_code():
    weight = torch.eye(4)[[2, 2, 2, 0, 0, 3]]
    assert leading(sefa(weight, CODES, 2)) == [2, 0]
    assert leading(sefa(100 * weight, CODES, 2)) == [2, 0]


def test_components_of_activations_are_regressed_to_the_code():
    wide = torch.linalg.qr(torch.randn(30, 4, generator=torch.Generator().manual_seed(1)))[0]

    def features(codes: torch.Tensor) -> torch.Tensor:
        return (codes * SCALES) @ wide.T

    directions = ganspace_of_features(features, isotropic(), 3)
    assert leading(directions) == [1, 2, 0]
    assert directions.transform(isotropic()).std(0).tolist() == pytest.approx([1, 1, 1], abs=1e-4)


def test_more_components_than_activations_are_refused():
    with pytest.raises(InvalidArgumentError, match="4"):
        ganspace_of_features(lambda codes: torch.cat([codes, codes])[: len(codes), :2], CODES, 4)


@pytest.mark.parametrize("micro_batch", [1, 64, 597])
def test_components_do_not_depend_on_how_activations_come(micro_batch):
    def features(codes: torch.Tensor) -> torch.Tensor:
        return torch.sin(codes) * torch.tensor([1.0, 4.0, 2.0, 0.5])

    expected = ganspace_of_features(features, CODES, 2, micro_batch=600)
    found = ganspace_of_features(features, CODES, 2, micro_batch=micro_batch)
    cosines = torch.cosine_similarity(found.vectors, expected.vectors).abs()
    assert cosines.min() > 0.95  # incremental components are approximate


@pytest.mark.parametrize("seed", [0, 1])
def test_ica_finds_the_sources_that_codes_mix(seed):
    rng = torch.Generator().manual_seed(2)
    sources = torch.stack(
        [
            torch.rand(4000, generator=rng),
            torch.randn(4000, generator=rng) ** 3,
            torch.randn(4000, generator=rng).sign(),
        ]
    )
    mixing = torch.tensor([[1.0, 2.0, 0.5], [0.3, 1.0, -1.0], [-1.0, 0.4, 0.8]])
    found = ica((mixing @ sources).T, 3, seed=seed).vectors
    cosines = torch.nn.functional.normalize(found, dim=1) @ torch.nn.functional.normalize(mixing, dim=0)
    assert cosines.abs().amax(0).min() > 0.995
    assert found.norm(dim=1).tolist() == sorted(found.norm(dim=1).tolist(), reverse=True)


@pytest.mark.parametrize("make", [ganspace, coordinate_axes, ica])
def test_a_step_is_one_standard_deviation_of_the_codes(make):
    assert make(CODES, 2).transform(CODES).std(0).tolist() == pytest.approx([1, 1], abs=1e-4)


@pytest.mark.parametrize(
    "make", [ganspace, coordinate_axes, ica, lambda codes, count: sefa(torch.eye(4), codes, count)]
)
def test_more_directions_than_there_are_is_refused(make):
    with pytest.raises(InvalidArgumentError, match="`num_directions` is 5"):
        make(CODES, 5)
