import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from stylegan2 import Generator
from stylegan2.ops import bias_act, upfirdn2d
from stylegan2.synthesis import SynthesisBlock

SMALL = {"z_dim": 8, "w_dim": 8, "img_resolution": 16, "num_mapping_layers": 2, "channel_base": 64}
ARCHITECTURES = ["skip", "orig", "resnet"]


def randomized(**options):
    """A generator whose biases and noise strengths are not zero, and styles for it."""
    torch.manual_seed(0)
    generator = Generator(**{**SMALL, **options}).eval().requires_grad_(False)
    for name, tensor in generator.state_dict().items():
        if name.endswith(("bias", "noise_strength")):
            tensor += 0.3 * torch.randn_like(tensor)
    return generator, generator.mapping(torch.randn(3, 8))


@pytest.fixture
def in_half(monkeypatch):
    """Blocks that a GPU would compute in half precision are so on the CPU."""
    monkeypatch.setattr(
        SynthesisBlock, "_precision", lambda block, _: torch.float16 if block.runs_in_half else torch.float32
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_images_are_the_same_with_and_without_gradients(architecture):
    generator, w = randomized(architecture=architecture, conv_clamp=1.0)
    with torch.no_grad():
        quick = generator.synthesis(w)
    torch.testing.assert_close(quick, generator.synthesis(w.requires_grad_()), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("clamp", [None, 0.5])
def test_the_compiled_operations_give_the_same_images_and_gradients(host_kernels, monkeypatch, architecture, clamp):
    generator, w = randomized(architecture=architecture, conv_clamp=clamp)
    expected = generator.synthesis(w.requires_grad_())
    expected_gradient = torch.autograd.grad(expected.square().sum(), w)[0]
    for module in (bias_act, upfirdn2d):
        monkeypatch.setattr(module, "kernels_for", lambda _: host_kernels)
    images = generator.synthesis(w)
    torch.testing.assert_close(images, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        torch.autograd.grad(images.square().sum(), w)[0], expected_gradient, atol=1e-4, rtol=1e-4
    )
    with torch.no_grad():
        torch.testing.assert_close(generator.synthesis(w), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("count", "blocks"), [(0, []), (1, [16]), (2, [8, 16]), (4, [8, 16])])
def test_the_highest_resolutions_run_in_half_and_never_the_lowest(count, blocks):
    generator, _ = randomized(num_fp16_res=count)
    assert [side for side in generator.synthesis.resolutions if generator.synthesis.block(side).runs_in_half] == blocks


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_half_precision_gives_nearly_the_same_images_in_single(in_half, architecture):
    generator, w = randomized(architecture=architecture, num_fp16_res=2, conv_clamp=256.0)
    single, _ = randomized(architecture=architecture, conv_clamp=256.0)
    with torch.no_grad():
        images = generator.synthesis(w)
        torch.testing.assert_close(images, single.synthesis(w), atol=0.02, rtol=0.02)
        assert not torch.equal(images, single.synthesis(w))
    assert images.dtype == generator.synthesis.features(w).dtype == torch.float32


def test_half_precision_does_not_overflow_where_kernels_and_styles_are_large(in_half):
    generator, w = randomized(num_fp16_res=2, conv_clamp=256.0)
    for side in (8, 16):
        block = generator.synthesis.block(side)
        for layer in (block.conv0, block.conv1):
            layer.weight *= 1e4
            layer.affine.bias += 1e4
    with torch.no_grad():
        assert generator.synthesis(w).isfinite().all()


def test_a_cpu_and_gradients_get_single_precision():
    generator, w = randomized(num_fp16_res=2)
    block = generator.synthesis.block(16)
    with torch.no_grad():
        assert block._precision(w) == torch.float32
    assert block._precision(w) == torch.float32


def test_an_absent_block_is_the_users_mistake():
    generator, w = randomized()
    with pytest.raises(InvalidArgumentError, match="give one of 4, 8, 16"):
        generator.synthesis.features(w, 32)
