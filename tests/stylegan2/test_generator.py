import numpy as np
import pytest
import torch

from ganspace_topdis.errors import CheckpointError
from stylegan2 import Generator

SMALL = {"z_dim": 8, "w_dim": 8, "img_resolution": 16, "num_mapping_layers": 2, "channel_base": 64}


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
