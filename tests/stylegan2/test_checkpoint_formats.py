import argparse

import numpy as np
import pytest
import torch

import stylegan2
from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.runs.checksummed import save_checksummed
from stylegan2 import Generator
from stylegan2.loading import read
from tests.stylegan2.foreign_files import flat_tensors, genforce_tensors, tensorflow_bytes, torch_bytes
from tests.stylegan2.nvidia_files import snapshot_bytes

SMALL = {"z_dim": 8, "w_dim": 8, "img_resolution": 16, "num_mapping_layers": 2, "channel_base": 64}


@pytest.fixture
def write(tmp_path):
    def write(content, **options):
        path = tmp_path / "network.pt"
        path.write_bytes(content if isinstance(content, bytes) else torch_bytes(content, **options))
        return path

    return write


def randomized(**options):
    """A generator whose biases, noise strengths and mean style are not zero."""
    torch.manual_seed(3)
    generator = Generator(**{**SMALL, **options}).eval().requires_grad_(False)
    for name, tensor in generator.state_dict().items():
        if name.endswith(("bias", "noise_strength", "w_avg")):
            tensor += 0.3 * torch.randn_like(tensor)
    return generator


def rosinality(generator):
    return {"g_ema": flat_tensors(generator, "rosinality"), "latent_avg": generator.mapping.w_avg}


def containers(generator):
    """The content of each project's files."""
    mean = {"mapping.w_avg": generator.mapping.w_avg}
    return {
        "rosinality": rosinality(generator),
        "basicsr": {"params_ema": flat_tensors(generator, "basicsr")},
        "mmgeneration": {
            "meta": {"epoch": 1},
            "state_dict": {f"generator_ema.{k}": v for k, v in flat_tensors(generator, "mmgeneration").items()},
        },
        "genforce": {"generator_smooth": genforce_tensors(generator)},
        "hammer": {"models": {"generator_smooth": genforce_tensors(generator)}},
        "nvidia": {**generator.state_dict(), **mean},
    }


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", ["rosinality", "basicsr", "mmgeneration", "genforce", "hammer", "nvidia"])
def test_every_torch_layout_gives_the_reference_images(reference, reference_generator, write, kind, legacy):
    again = stylegan2.load(write(containers(reference_generator)[kind], legacy=legacy))
    np.testing.assert_allclose(again(reference["z"]), reference["image_psi1"], atol=1e-4)
    torch.testing.assert_close(again(reference["z"]), reference_generator(reference["z"]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["rosinality", "genforce", "hammer", "nvidia"])
def test_layouts_with_a_mean_style_truncate_like_the_reference(reference, reference_generator, write, kind):
    again = stylegan2.load(write(containers(reference_generator)[kind]))
    image = again(reference["z"], truncation_psi=0.7)
    np.testing.assert_allclose(image, reference["image_psi0.7"], atol=1e-4)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensorflow_pickles_give_the_reference_images(reference, reference_generator, write, protocol):
    again = stylegan2.load(write(tensorflow_bytes(reference_generator, protocol=protocol)))
    np.testing.assert_allclose(again(reference["z"], truncation_psi=0.7), reference["image_psi0.7"], atol=1e-4)


@pytest.mark.parametrize("architecture", ["skip", "orig", "resnet"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_tensorflow_pickles_of_every_architecture_and_depth(write, architecture, channels):
    generator, z = randomized(architecture=architecture, img_channels=channels), torch.randn(2, 8)
    settings = {"conv_clamp": 256, "num_fp16_res": 2, "resample_kernel": [1, 3, 3, 1]}
    again = stylegan2.load(write(tensorflow_bytes(generator, version=5, settings=settings)))
    assert (again.config.conv_clamp, again.config.num_fp16_res) == (256.0, 2)
    torch.testing.assert_close(again(z), generator(z), atol=1e-5, rtol=0)


def test_activations_are_read_from_the_settings_of_tensorflow_pickles(write):
    generator, z = randomized(activation="swish", mapping_activation="elu"), torch.randn(2, 8)
    settings = {"nonlinearity": "swish", "mapping_nonlinearity": "elu"}
    again = stylegan2.load(write(tensorflow_bytes(generator, settings=settings)))
    torch.testing.assert_close(again(z), generator(z), atol=1e-5, rtol=0)
    with pytest.raises(CheckpointError, match=r"nonlinearity is .*gelu.*only linear, relu, lrelu, tanh"):
        stylegan2.load(write(tensorflow_bytes(generator, settings={"nonlinearity": "gelu"})))


def test_progressively_grown_configurations_use_their_last_image_layer(write):
    generator, z = randomized(architecture="orig"), torch.randn(2, 8)
    again = stylegan2.load(write(tensorflow_bytes(generator, progressive=True)))
    assert again.architecture == "orig"
    torch.testing.assert_close(again(z), generator(z), atol=1e-5, rtol=0)


def test_classes_of_the_second_tensorflow_release_are_normalized_separately(write):
    generator, z, c = randomized(c_dim=3), torch.randn(3, 8), torch.eye(3)
    again = stylegan2.load(write(tensorflow_bytes(generator, labels="embed")))
    torch.testing.assert_close(again(z, c), generator(z, c), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["tensorflow", "genforce"])
def test_classes_of_the_first_tensorflow_release_are_normalized_together_with_z(write, kind):
    generator, z, c = randomized(c_dim=3, joint_normalization=True), torch.randn(3, 8), torch.eye(3)
    generator.mapping.embed.bias.zero_()
    content = {"generator": genforce_tensors(generator)}
    again = stylegan2.load(write(tensorflow_bytes(generator, labels="concat") if kind == "tensorflow" else content))
    assert again.config.joint_normalization
    torch.testing.assert_close(again(z, c), generator(z, c), atol=1e-5, rtol=0)


def test_a_stylegan1_pickle_is_refused_by_name(write):
    with pytest.raises(CheckpointError, match="StyleGAN1"):
        stylegan2.load(write(tensorflow_bytes(randomized(), version=3)))


def test_training_files_without_a_mean_style_are_read(write):
    generator, z = randomized(), torch.randn(2, 8)
    optimizer = torch.optim.Adam(generator.parameters()).state_dict()
    content = {
        **rosinality(generator),
        "args": argparse.Namespace(size=16, n_mlp=2),
        "g_optim": optimizer,
        "ada_aug_p": 0.1,
    }
    del content["latent_avg"]
    path = write(content)
    again = stylegan2.load(path)
    styles = generator.mapping(torch.randn(20000, 8))[:, 0]
    torch.testing.assert_close(again(z), generator(z), atol=1e-5, rtol=0)
    assert (again.mapping.w_avg - styles.mean(dim=0)).abs().max() < 0.1 * styles.std()
    assert any("mean style was missing" in note for note in read(path).notes)
    assert torch.equal(stylegan2.load(path).mapping.w_avg, again.mapping.w_avg)


def test_missing_noise_is_drawn_from_a_fixed_seed_and_noted(write):
    generator = randomized()
    content = rosinality(generator)
    content["g_ema"] = {name: tensor for name, tensor in content["g_ema"].items() if not name.startswith("noises.")}
    path = write(content)
    first, second = stylegan2.load(path), stylegan2.load(path)
    z = torch.randn(2, 8)
    torch.testing.assert_close(first(z, noise_mode="none"), generator(z, noise_mode="none"), atol=1e-5, rtol=0)
    assert torch.equal(first.synthesis.b8.conv0.noise_const, second.synthesis.b8.conv0.noise_const)
    assert any("noise image of 8 px was missing" in note for note in read(path).notes)


def test_the_decoder_of_an_encoder_is_found_under_its_prefix(write):
    generator, z = randomized(), torch.randn(2, 8)
    tensors = {f"decoder.{name}": tensor for name, tensor in flat_tensors(generator, "rosinality").items()}
    mean = generator.mapping.w_avg.repeat(generator.num_ws, 1)
    content = {
        "state_dict": {"encoder.body.weight": torch.zeros(3), **tensors},
        "latent_avg": mean,
        "opts": {"lr": 0.1},
    }
    again = stylegan2.load(write(content))
    torch.testing.assert_close(again(z, truncation_psi=0.5), generator(z, truncation_psi=0.5), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("to_rgbs.0.iwt.ll", "SWAGAN"),
        ("GE.blocks.0.to_style1.weight", "lucidrains"),
        ("synthesis.input.transform", "StyleGAN3"),
        ("generator.progression.0.conv1.weight", "StyleGAN1"),
    ],
)
def test_unsupported_networks_are_refused_by_name(write, name, word):
    constant = {"input.input": torch.zeros(1)} if word == "SWAGAN" else {}
    with pytest.raises(CheckpointError, match=word):
        stylegan2.load(write({"g_ema": {**constant, name: torch.zeros(1)}}))


def test_an_unknown_tensor_is_named(write):
    content = rosinality(randomized())
    content["g_ema"]["attention.weight"] = torch.zeros(2)
    with pytest.raises(CheckpointError, match=r"attention\.weight does not belong"):
        stylegan2.load(write(content))


def test_a_file_without_a_generator_is_refused(write):
    with pytest.raises(CheckpointError, match="no generator of a known layout"):
        stylegan2.load(write({"weight": torch.zeros(2)}))


TINY = {"z_dim": 4, "w_dim": 4, "img_resolution": 8, "num_mapping_layers": 1, "channel_base": 16}


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("architecture", ["skip", "orig", "resnet"])
def test_saving_and_loading_preserve_every_bit_and_setting(tmp_path, architecture):
    options = {"c_dim": 2, "conv_clamp": 256.0, "joint_normalization": True, "num_fp16_res": 1}
    generator = Generator(**TINY, **options, architecture=architecture)
    again = stylegan2.load(stylegan2.save(generator, tmp_path / "g.safetensors"))
    assert equal(generator.state_dict(), again.state_dict())
    assert again.config == generator.config


def test_half_precision_halves_the_file_and_keeps_three_digits(tmp_path):
    torch.manual_seed(0)
    generator = Generator(**{**TINY, "channel_base": 512}).eval()
    whole = stylegan2.save(generator, tmp_path / "whole.safetensors")
    half = stylegan2.save(generator, tmp_path / "half.safetensors", half=True)
    again, z = stylegan2.load(half), torch.randn(4, 4)
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    assert again.synthesis.b4.const.dtype == torch.float32
    torch.testing.assert_close(again(z), generator(z), atol=0.02, rtol=0.02)


def test_any_flipped_bit_is_detected(tmp_path):
    path = stylegan2.save(Generator(**TINY), tmp_path / "g.safetensors")
    data = path.read_bytes()
    for position in range(0, len(data), 97):
        damaged = bytearray(data)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            stylegan2.load(path)


def test_a_safetensors_file_without_a_generator_is_refused(tmp_path):
    path = save_checksummed(tmp_path / "other.safetensors", {"x": torch.zeros(2)}, {"kind": "directions"})
    with pytest.raises(CheckpointError, match="no StyleGAN2 generator"):
        stylegan2.load(path)


def test_a_later_version_is_refused(tmp_path):
    path = save_checksummed(
        tmp_path / "g.safetensors", {"x": torch.zeros(2)}, {"kind": "stylegan2 generator", "version": 9}
    )
    with pytest.raises(CheckpointError, match="its version is 9"):
        stylegan2.load(path)


@pytest.mark.parametrize("value", ["wide", -1, None, [1], 2**40, True])
def test_an_invalid_setting_is_refused(tmp_path, value):
    generator = Generator(**TINY)
    config = {**generator.config.to_dict(), "z_dim": value}
    description = {"kind": "stylegan2 generator", "version": 1, "config": config}
    path = save_checksummed(tmp_path / "g.safetensors", generator.state_dict(), description)
    with pytest.raises(CheckpointError, match="z_dim"):
        stylegan2.load(path)


RECTANGULAR_WRITERS = {
    "rosinality": lambda generator: torch_bytes(rosinality(generator)),
    "genforce": lambda generator: torch_bytes({"generator_smooth": genforce_tensors(generator)}),
    "state dict": lambda generator: torch_bytes(dict(generator.state_dict())),
    "tensorflow": tensorflow_bytes,
    "NVIDIA": snapshot_bytes,
}


@pytest.mark.parametrize("kind", RECTANGULAR_WRITERS)
def test_rectangular_generators_are_read_from_every_kind_of_file(write, kind):
    generator, z = randomized(base_size=(4, 2)), torch.randn(2, 8)
    again = stylegan2.load(write(RECTANGULAR_WRITERS[kind](generator)))
    assert again(z).shape == (2, 3, 16, 8)
    torch.testing.assert_close(again(z, truncation_psi=0.5), generator(z, truncation_psi=0.5), atol=1e-5, rtol=0)


def test_missing_noise_of_a_rectangular_generator_has_its_shape(write):
    content = rosinality(randomized(base_size=(4, 2)))
    content["g_ema"] = {name: tensor for name, tensor in content["g_ema"].items() if not name.startswith("noises.")}
    again = stylegan2.load(write(content))
    assert again.synthesis.b16.conv1.noise_const.shape == (16, 8)
