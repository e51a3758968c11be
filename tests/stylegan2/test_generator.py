import numpy as np
import pytest
import torch

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from stylegan2 import Generator
from stylegan2.ops import bias_act, upfirdn2d
from stylegan2.space import LatentSpace
from stylegan2.synthesis import SynthesisBlock

SMALL = {"z_dim": 8, "w_dim": 8, "img_resolution": 16, "num_mapping_layers": 2, "channel_base": 64}
ARCHITECTURES = ["skip", "orig", "resnet"]


@pytest.mark.parametrize(
    ("name", "psi", "cutoff"), [("psi1", 1.0, None), ("psi0.7", 0.7, None), ("psi0.5_cutoff3", 0.5, 3)]
)
def test_styles_and_images_equal_the_reference_implementation(reference, reference_generator, name, psi, cutoff):
    w = reference_generator.mapping(reference["z"], None, psi, cutoff)
    np.testing.assert_allclose(w, reference[f"w_{name}"], atol=1e-5)
    np.testing.assert_allclose(reference_generator.synthesis(w), reference[f"image_{name}"], atol=1e-4)


def test_images_without_noise_equal_the_reference_implementation(reference, reference_generator):
    image = reference_generator(reference["z"], noise_mode="none")
    np.testing.assert_allclose(image, reference["image_psi1_nonoise"], atol=1e-4)


@pytest.mark.parametrize("architecture", ["skip", "orig", "resnet"])
def test_a_state_dict_alone_rebuilds_the_generator(architecture):
    torch.manual_seed(0)
    generator = Generator(**SMALL, c_dim=3, architecture=architecture, img_channels=4).eval()
    again = Generator.from_state_dict(generator.state_dict())
    z, c = torch.randn(2, 8), torch.eye(3)[:2]
    assert again.architecture == architecture
    assert torch.equal(generator(z, c), again(z, c))


def test_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    generator = Generator(**SMALL)
    generator(torch.randn(2, 8)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in generator.parameters())


def test_a_missing_tensor_is_named():
    state = Generator(**SMALL).state_dict()
    del state["synthesis.b8.conv0.bias"]
    with pytest.raises(CheckpointError, match=r"synthesis\.b8\.conv0\.bias"):
        Generator.from_state_dict(state)


def test_a_tensor_of_the_wrong_shape_is_named():
    state = Generator(**SMALL).state_dict()
    state["synthesis.b8.conv0.bias"] = torch.zeros(5)
    with pytest.raises(CheckpointError, match=r"synthesis\.b8\.conv0\.bias has shape \(5,\)"):
        Generator.from_state_dict(state)


def test_training_moves_the_mean_style_and_evaluation_does_not():
    torch.manual_seed(0)
    generator = Generator(**SMALL)
    generator.mapping(torch.randn(64, 8))
    moved = generator.mapping.w_avg.clone()
    generator.eval().mapping(torch.randn(64, 8))
    assert moved.abs().max() > 0
    assert torch.equal(moved, generator.mapping.w_avg)


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
    """The CPU computes in half precision the blocks for which a GPU would."""
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


@pytest.mark.parametrize(("count", "blocks"), [(0, []), (1, [16]), (2, [8, 16]), (4, [8, 16]), (2**31 - 1, [8, 16])])
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
    assert images.dtype == torch.float32
    with torch.no_grad():
        assert torch.equal(generator.synthesis(w, force_fp32=True), single.synthesis(w))


def test_features_have_the_precision_of_the_search_also_without_gradients(in_half):
    generator, w = randomized(num_fp16_res=2, conv_clamp=256.0)
    space = LatentSpace(generator=generator, resolution=16)
    of_images = LatentSpace(generator=generator)
    with torch.no_grad():
        judged, judged_images = space.features(w[:, 0]), of_images.features(w[:, 0])
        assert not torch.equal(judged_images, of_images.images(w[:, 0]))
    for ours, kept in ((space, judged), (of_images, judged_images)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SynthesisBlock, "_precision", lambda *_: torch.float32)
            torch.testing.assert_close(ours.features(w[:, 0]), kept, atol=1e-6, rtol=1e-6)


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


def test_features_of_an_absent_block_are_refused():
    generator, w = randomized()
    with pytest.raises(InvalidArgumentError, match="give one of 4, 8, 16"):
        generator.synthesis.features(w, 32)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("base_size", [(4, 2), (3, 5), (8, 4)])
def test_a_rectangular_generator_gives_rectangular_images_and_is_rebuilt_from_its_state_dict(architecture, base_size):
    generator, w = randomized(architecture=architecture, base_size=base_size)
    height, width = base_size[0] * 4, base_size[1] * 4
    assert generator.config.image_size == (height, width)
    images = generator.synthesis(w)
    assert images.shape == (3, 3, height, width)
    assert generator.synthesis.features(w, 8).shape[2:] == (height // 2, width // 2)
    assert generator.synthesis(w, "random").shape == images.shape
    again = Generator.from_state_dict(generator.state_dict())
    assert again.config.base_size == base_size
    assert torch.equal(again.synthesis(w), images)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_left_half_of_a_wide_generator_is_that_of_a_narrow_one_far_from_the_cut(architecture):
    """Convolutions are local: with the same constant, noise and styles, pixels far from the cut are the same."""
    wide, w = randomized(architecture=architecture, base_size=(4, 64), img_resolution=8)
    state = {name: half(tensor, name) for name, tensor in wide.state_dict().items()}
    narrow = Generator.from_state_dict(state)
    left = wide.synthesis(w)[..., :48]
    torch.testing.assert_close(narrow.synthesis(w)[..., :48], left, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(narrow.synthesis(w)[..., -1], wide.synthesis(w)[..., 63], atol=1e-5)


def half(tensor, name):
    """The left half of the learned constant and of the noise images."""
    return tensor[..., : tensor.shape[-1] // 2] if name.endswith((".const", "noise_const")) else tensor


def test_images_beyond_the_maximum_are_refused():
    state = Generator(**{**SMALL, "base_size": (4, 64)}).state_dict()
    state["synthesis.b4.const"] = state["synthesis.b4.const"].repeat(1, 1, 1000)
    with pytest.raises(CheckpointError, match="base_size"):
        Generator.from_state_dict(state)
