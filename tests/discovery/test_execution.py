import pytest
import torch

from ganspace_topdis.discovery.execution import compiled, in_mixed_precision
from ganspace_topdis.errors import TopdisError
from stylegan2 import load
from stylegan2.space import LatentSpace


def codes(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(0))


def test_mixed_precision_rounds_the_generator_and_gives_single_precision_back():
    weight = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    exact, rounded = codes() @ weight, in_mixed_precision(lambda c: c @ weight)(codes())
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


def test_a_machine_that_cannot_compile_is_told_what_to_do(monkeypatch):
    def broken(generate):
        def fail(_):
            raise RuntimeError("no compiler")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(TopdisError, match="leave --compile out"):
        compiled(torch.sin)(codes())


def test_an_error_after_the_first_call_is_the_generators_own(monkeypatch):
    def failing_later(codes):
        if len(codes) > 3:
            raise ValueError("its own")
        return codes

    monkeypatch.setattr(torch, "compile", lambda generate: generate)
    run = compiled(failing_later)
    run(codes())
    with pytest.raises(ValueError, match="its own"):
        run(codes(4))
