import pytest
import torch

from ganspace_topdis.discovery.micro_batch import (
    bytes_per_code,
    choose_micro_batch,
    compiled,
    features_of,
    in_mixed_precision,
)
from ganspace_topdis.errors import TopdisError
from stylegan2 import load
from stylegan2.space import LatentSpace


def codes(num_codes: int = 40, code_dim: int = 4) -> torch.Tensor:
    return torch.randn(num_codes, code_dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def generate(c: torch.Tensor) -> torch.Tensor:
    return torch.sin(c @ torch.arange(12.0, dtype=c.dtype).reshape(4, 3)).unflatten(1, (3, 1))


def test_micro_batches_change_neither_features_nor_gradients():
    results = []
    for micro_batch in (64, 40, 16, 1):
        leaf = codes().requires_grad_(True)
        features = features_of(generate, leaf, micro_batch)
        (gradient,) = torch.autograd.grad((features**3).sum(), leaf)
        results.append((features.detach(), gradient))
    for features, gradient in results[1:]:
        assert torch.allclose(features, results[0][0])
        assert torch.allclose(gradient, results[0][1])


def test_one_micro_batch_is_alive_at_a_time():
    alive, most = 0, 0

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            nonlocal alive, most
            ctx.save_for_backward(x)
            alive += len(x)
            most = max(most, alive)
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            nonlocal alive
            alive -= len(ctx.saved_tensors[0])
            return grad

    leaf = codes(64).requires_grad_(True)
    features = features_of(Counted.apply, leaf, 8)
    alive, most = 0, 0  # the first pass keeps no graph; what counts is the backward pass
    features.sum().backward()
    assert most == 8


WEIGHT = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0))
CODES = torch.zeros(2, 4)


def sine_features(codes: torch.Tensor) -> torch.Tensor:
    """Saves 1000 numbers per code for the backward pass of the sine, and returns 1000 more."""
    return torch.sin(codes @ WEIGHT)


def test_the_bytes_of_a_code_exclude_the_shared_weights():
    result, kept = 1000 * 4, 1000 * 4
    assert bytes_per_code(sine_features, CODES) == result + kept


def test_more_free_memory_never_means_fewer_codes_and_a_batch_is_enough():
    sizes = [choose_micro_batch(sine_features, CODES, most=48, free_bytes=2**power) for power in range(10, 30)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 1
    assert sizes[-1] == 64


def test_the_chosen_size_takes_a_third_of_the_free_memory():
    chosen = choose_micro_batch(sine_features, CODES, most=1024, free_bytes=10**6)
    assert chosen * 8000 <= 10**6 / 3 < 2 * chosen * 8000


def test_a_small_change_of_the_free_memory_does_not_change_the_size():
    assert len({choose_micro_batch(sine_features, CODES, most=64, free_bytes=10**6 + step) for step in range(100)}) == 1


def few_codes(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(0))


def test_mixed_precision_rounds_the_generator_and_returns_float32():
    weight = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    exact, rounded = few_codes() @ weight, in_mixed_precision(lambda c: c @ weight)(few_codes())
    assert rounded.dtype == torch.float32
    assert 0 < (exact - rounded).abs().max() < 0.05


@pytest.mark.parametrize("name", ["w", "s"])
def test_the_generator_runs_in_mixed_precision_with_gradients(name):
    space = LatentSpace(generator=load("scenes"), name=name, resolution=16)
    sample = space.sample_codes(2, torch.Generator().manual_seed(0)).requires_grad_(True)
    exact, rounded = space.features(sample), in_mixed_precision(space.features)(sample)
    assert (exact - rounded).norm() < 0.05 * exact.norm()
    gradients = [torch.autograd.grad(each.square().sum(), sample)[0] for each in (exact, rounded)]
    assert torch.cosine_similarity(*gradients).min() > 0.95


def test_the_error_of_a_machine_that_cannot_compile_gives_the_next_step(monkeypatch):
    def broken(generate):
        def fail(_):
            raise RuntimeError("no compiler")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(TopdisError, match="search without `compile`"):
        compiled(torch.sin)(few_codes())


def test_an_error_after_the_first_call_is_the_generators_own(monkeypatch):
    def failing_later(few_codes):
        if len(few_codes) > 3:
            raise ValueError("its own")
        return few_codes

    monkeypatch.setattr(torch, "compile", lambda generate: generate)
    run = compiled(failing_later)
    run(few_codes())
    with pytest.raises(ValueError, match="its own"):
        run(few_codes(4))
