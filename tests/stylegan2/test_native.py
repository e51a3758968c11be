import pytest
import torch

import stylegan2
from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.runs.checksummed import save_checksummed
from stylegan2 import Generator

SMALL = {"z_dim": 4, "w_dim": 4, "img_resolution": 8, "num_mapping_layers": 1, "channel_base": 16}


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("architecture", ["skip", "orig", "resnet"])
def test_saving_and_loading_keeps_every_bit_and_every_setting(tmp_path, architecture):
    options = {"c_dim": 2, "conv_clamp": 256.0, "joint_normalization": True, "num_fp16_res": 1}
    generator = Generator(**SMALL, **options, architecture=architecture)
    again = stylegan2.load(stylegan2.save(generator, tmp_path / "g.safetensors"))
    assert equal(generator.state_dict(), again.state_dict())
    assert again.config == generator.config


def test_half_precision_halves_the_file_and_keeps_three_digits(tmp_path):
    torch.manual_seed(0)
    generator = Generator(**{**SMALL, "channel_base": 512}).eval()
    whole = stylegan2.save(generator, tmp_path / "whole.safetensors")
    half = stylegan2.save(generator, tmp_path / "half.safetensors", half=True)
    again, z = stylegan2.load(half), torch.randn(4, 4)
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    assert again.synthesis.b4.const.dtype == torch.float32
    torch.testing.assert_close(again(z), generator(z), atol=0.02, rtol=0.02)


def test_any_flipped_bit_is_found(tmp_path):
    path = stylegan2.save(Generator(**SMALL), tmp_path / "g.safetensors")
    data = path.read_bytes()
    for position in range(0, len(data), 97):
        damaged = bytearray(data)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            stylegan2.load(path)


def test_a_sealed_file_of_something_else_is_refused(tmp_path):
    path = save_checksummed(tmp_path / "other.safetensors", {"x": torch.zeros(2)}, {"kind": "directions"})
    with pytest.raises(CheckpointError, match="no StyleGAN2 generator"):
        stylegan2.load(path)


def test_a_later_version_is_refused(tmp_path):
    path = save_checksummed(
        tmp_path / "g.safetensors", {"x": torch.zeros(2)}, {"kind": "stylegan2 generator", "version": 9}
    )
    with pytest.raises(CheckpointError, match="version 9"):
        stylegan2.load(path)


@pytest.mark.parametrize("value", ["wide", -1, None, [1], 2**40, True])
def test_a_nonsensical_setting_is_refused(tmp_path, value):
    generator = Generator(**SMALL)
    config = {**generator.config.to_dict(), "z_dim": value}
    description = {"kind": "stylegan2 generator", "version": 1, "config": config}
    path = save_checksummed(tmp_path / "g.safetensors", generator.state_dict(), description)
    with pytest.raises(CheckpointError, match="z_dim"):
        stylegan2.load(path)
