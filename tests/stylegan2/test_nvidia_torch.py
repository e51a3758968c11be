import numpy as np
import pytest
import torch
from torch import nn

import stylegan2
from ganspace_topdis.errors import CheckpointError
from stylegan2 import Generator
from tests.stylegan2.nvidia_files import Persistent, persistent_tree, snapshot_bytes

SMALL = {"z_dim": 8, "w_dim": 8, "img_resolution": 16, "num_mapping_layers": 2, "channel_base": 64}


@pytest.fixture
def write(tmp_path):
    def write(data):
        path = tmp_path / "network.pkl"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("layout", ["ada", "stylegan3"])
def test_snapshots_of_both_repositories_give_the_reference_images(
    reference, reference_generator, write, layout, protocol
):
    path = write(snapshot_bytes(reference_generator, layout=layout, protocol=protocol))
    image = stylegan2.load(path)(reference["z"])
    np.testing.assert_allclose(image, reference["image_psi1"], atol=1e-4)


@pytest.mark.parametrize("architecture", ["skip", "orig", "resnet"])
def test_clamp_classes_and_half_precision_are_read_off_the_layers(write, architecture):
    torch.manual_seed(0)
    generator = Generator(**SMALL, c_dim=3, conv_clamp=0.5, architecture=architecture).eval()
    again = stylegan2.load(write(snapshot_bytes(generator, num_fp16_res=2)))
    z, c = torch.randn(4, 8), torch.eye(3)[[0, 1, 2, 0]]
    assert (again.config.conv_clamp, again.config.num_fp16_res, again.c_dim) == (0.5, 2, 3)
    assert torch.equal(again(z, c), generator(z, c))


def test_channels_last_weights_are_read_by_their_strides(reference, reference_generator, write):
    tree = persistent_tree(reference_generator)
    convolution = tree.synthesis.b8.conv0
    convolution.weight = nn.Parameter(convolution.weight.to(memory_format=torch.channels_last))
    assert not convolution.weight.is_contiguous()
    again = stylegan2.load(write(snapshot_bytes(reference_generator, root=tree)))
    assert torch.equal(again.synthesis.b8.conv0.weight, reference_generator.synthesis.b8.conv0.weight)


def test_another_mapping_rate_is_scaled_into_the_weights(reference_generator, write):
    tree = persistent_tree(reference_generator)
    for layer in tree.mapping.children():
        layer.bias_gain = 1.0
    again = stylegan2.load(write(snapshot_bytes(reference_generator, root=tree)))
    torch.testing.assert_close(again.mapping.fc0.weight, 100 * reference_generator.mapping.fc0.weight)


def test_loaded_generators_are_frozen_and_in_evaluation_mode(reference_generator, write):
    again = stylegan2.load(write(snapshot_bytes(reference_generator)))
    assert not again.training
    assert not any(parameter.requires_grad for parameter in again.parameters())


def test_nan_weights_are_refused_by_name(reference_generator, write):
    tree = persistent_tree(reference_generator)
    tree.synthesis.b8.conv0.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(CheckpointError, match=r"synthesis\.b8\.conv0\.weight hold NaN"):
        stylegan2.load(write(snapshot_bytes(reference_generator, root=tree)))


def test_stylegan3_is_refused_by_name(reference_generator, write):
    root, synthesis = Persistent("Generator"), Persistent("SynthesisNetwork")
    root.add_module("synthesis", synthesis)
    synthesis.add_module("input", Persistent("SynthesisInput"))
    with pytest.raises(CheckpointError, match="StyleGAN3"):
        stylegan2.load(write(snapshot_bytes(reference_generator, root=root)))


def test_stylegan_xl_is_refused_by_name(reference_generator, write):
    with pytest.raises(CheckpointError, match="StyleGAN-XL"):
        stylegan2.load(write(snapshot_bytes(reference_generator, root=Persistent("SuperresGenerator"))))


def test_another_activation_is_refused(reference_generator, write):
    tree = persistent_tree(reference_generator)
    tree.synthesis.b8.conv0.activation = "swish"
    with pytest.raises(CheckpointError, match="swish"):
        stylegan2.load(write(snapshot_bytes(reference_generator, root=tree)))
