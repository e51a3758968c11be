"""What the user's functions may return: the error says what to fix."""

import pytest
import torch

from ganspace_topdis.discovery.api import discover_directions
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.generators import HandBuiltGenerator

GENERATOR = HandBuiltGenerator(seed=0)
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
