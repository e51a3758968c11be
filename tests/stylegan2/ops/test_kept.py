import pytest
import torch

from stylegan2 import Generator
from stylegan2.ops import kept as kept_module
from stylegan2.ops.kept import kept, weights_are_kept, weights_stay


@pytest.fixture
def made():
    return []


def make(made):
    """Something made of a weight, which `made` takes note of."""
    return lambda weight: made.append(0) or 2 * weight


def test_weights_that_stay_are_worked_on_once(made):
    weight = torch.ones(3)
    with weights_stay():
        assert all(torch.equal(kept(weight, "twice", make(made)), 2 * weight) for _ in range(3))
        kept(weight, "another", make(made))
        kept(weight[:2], "twice", make(made))
    assert len(made) == 3


def test_weights_may_change_before_between_and_after(made):
    weight = torch.ones(3)
    for factor in (1, 2, 3):
        weight.fill_(factor)
        assert torch.equal(kept(weight, "twice", make(made)), 2 * weight)
        with weights_stay(), weights_stay():
            assert torch.equal(kept(weight, "twice", make(made)), 2 * weight)
    assert kept_module._store is None


def test_weights_that_get_gradients_are_not_kept(made):
    weight = torch.ones(3, requires_grad=True)
    with weights_stay():
        assert not weights_are_kept(weight)
        kept(weight, "twice", make(made))
        assert kept(weight, "twice", make(made)).requires_grad
    assert len(made) == 2


def test_nothing_is_kept_once_it_has_failed():
    def fail(weight):
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"), weights_stay():
        kept(torch.ones(3), "twice", fail)
    assert kept_module._store is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_generator_gives_the_same_images_and_keeps_nothing_more_from_its_second_call_on(dtype):
    torch.manual_seed(0)
    generator = Generator(img_resolution=16, channel_base=256, z_dim=8, w_dim=8, num_mapping_layers=1)
    generator.eval().requires_grad_(False)
    for block in map(generator.synthesis.block, generator.synthesis.resolutions):
        block._precision = lambda _: dtype  # half precision is a GPU's, but a CPU can follow
    w = generator.mapping(torch.randn(2, 8))
    with torch.no_grad():
        expected = generator.synthesis(w)
        with weights_stay():
            torch.testing.assert_close(generator.synthesis(w), expected)
            count = len(kept_module._store)
            torch.testing.assert_close(generator.synthesis(w), expected)
            assert len(kept_module._store) == count
