"""What the user's functions may return: the error says what to fix."""

import contextlib

import numpy as np
import pytest
import torch

from ganspace_topdis.discovery.api import discover_directions
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.generators import HandBuiltGenerator

GENERATOR = HandBuiltGenerator(seed=0)
METHODS = ("topdis", "hessian", "contrastive", "reconstructor", "overlap", "sparsity")
QUICK = {"span": "effect", "num_directions": 2, "steps": 1, "batch_size": 8, "num_span_codes": 64, "num_probes": 16}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda images: images.tolist(), "`generate` returned list; return a torch.Tensor"),
        (lambda images: images.detach().numpy(), "`generate` returned numpy.ndarray; return a torch.Tensor"),
        (lambda images: images.detach(), "`generate` returned a tensor without gradient; do not detach it"),
        (lambda images: images / 0, "`generate` returned values that are not finite"),
        (lambda images: images.round().long(), "`generate` returned torch.int64; return floating-point numbers"),
        (lambda images: images[:1].expand(len(images) + 1, -1, -1, -1), "return one row per code"),
        (lambda images: images.mean(), "return one row per code"),
    ],
)
def test_outputs_that_no_search_can_use_are_refused_with_the_remedy(wrong, message):
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        discover_directions(lambda codes: wrong(GENERATOR(codes)), GENERATOR.sample_codes, **QUICK)
    assert caught.value.field == "generate"


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (lambda count, rng: torch.randn(count, 6, generator=rng).numpy(), "returned numpy.ndarray"),
        (lambda count, rng: torch.randn(6, generator=rng), r"returned shape \(6,\)"),
        (lambda count, rng: torch.full((count, 6), torch.nan), "not finite"),
    ],
)
def test_codes_that_are_none_are_refused(sample, message):
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        discover_directions(GENERATOR, sample, **QUICK)
    assert caught.value.field == "sample_codes"


def test_the_best_direction_of_a_new_search_has_number_0_and_rank_1():
    metadata = discover_directions(GENERATOR, GENERATOR.sample_codes, **QUICK).metadata
    assert metadata["rank"] == [1, 2]
    assert metadata["score"] == sorted(metadata["score"], reverse=True)


@contextlib.contextmanager
def double_by_default():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def sample(count, rng):
    return torch.randn(count, 6, generator=rng, dtype=torch.float32, device="cpu")


SURROUNDINGS = {
    "double": double_by_default,
    "device": lambda: torch.device("meta"),
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_what_the_caller_has_set_does_not_matter(surroundings):
    expected = discover_directions(GENERATOR, sample, **QUICK)
    with surroundings():
        found = discover_directions(GENERATOR, sample, **QUICK)
    assert torch.equal(found.vectors, expected.vectors)
    assert found.metadata["score"] == expected.metadata["score"]
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize("method", METHODS)
def test_a_search_leaves_gradients_and_the_random_stream_of_the_caller(method):
    network = torch.nn.Sequential(torch.nn.Linear(6, 20), torch.nn.Tanh(), torch.nn.Linear(20, 30))
    before = torch.get_rng_state()
    discover_directions(network, sample, **{**QUICK, "method": method, "whole_steps": 1})
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(before, torch.get_rng_state())


def test_numbers_of_numpy_are_numbers():
    expected = discover_directions(GENERATOR, sample, seed=3, **QUICK)
    numbers = {"seed": np.int64(3), "num_directions": np.int32(2), "steps": np.int64(1), "shift": np.float64(1)}
    found = discover_directions(GENERATOR, sample, **{**QUICK, **numbers})
    assert found.metadata["score"] == expected.metadata["score"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(InvalidArgumentError, match="`device` is 'cuda'"):
        discover_directions(GENERATOR, sample, device="cuda", **QUICK)
