import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from vae.networks import NETWORKS, build_networks


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("image_shape", [(64, 64, 1), (64, 64, 3), (16, 16, 3), (128, 128, 1)])
def test_every_network_maps_images_to_codes_and_back(name, image_shape):
    side, _, channels = image_shape
    model = build_networks(name, image_shape=image_shape, num_latents=7, width=0.1)
    mean, logvar = model.encode(torch.rand(2, channels, side, side))
    assert mean.shape == logvar.shape == (2, 7)
    assert model.decode(mean).shape == (2, channels, side, side)


def test_the_published_layers_have_the_published_numbers_of_parameters():
    def sizes(name, channels=1):
        model = build_networks(name, image_shape=(64, 64, channels), num_latents=10)
        return [
            tuple(module.weight.shape)
            for module in model.modules()
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear | torch.nn.ConvTranspose2d)
        ]

    assert sizes("locatello")[:6] == [
        (32, 1, 4, 4),
        (32, 32, 4, 4),
        (64, 32, 2, 2),
        (64, 64, 2, 2),
        (256, 1024),
        (20, 256),
    ]
    assert sizes("locatello")[6:] == [
        (256, 10),
        (1024, 256),
        (64, 64, 4, 4),
        (64, 32, 4, 4),
        (32, 32, 4, 4),
        (32, 1, 4, 4),
    ]
    assert sizes("narrow")[4] == (128, 64, 4, 4)
    assert sizes("narrow", channels=3)[4] == (256, 64, 4, 4)
    assert sizes("burgess")[4:7] == [(256, 512), (256, 256), (20, 256)]
    assert sizes("fc") == [(1200, 4096), (1200, 1200), (20, 1200), (1200, 10), (1200, 1200), (1200, 1200), (4096, 1200)]
    assert sizes("wide")[3:5] == [(256, 128, 4, 4), (512, 256, 4, 4)]


def test_images_that_a_convolutional_network_cannot_halve_are_refused_with_a_way_out():
    with pytest.raises(InvalidArgumentError, match="--network fc"):
        build_networks("narrow", image_shape=(60, 60, 1), num_latents=10)
    assert build_networks("fc", image_shape=(12, 10, 3), num_latents=2, width=0.01).encode(torch.rand(1, 3, 12, 10))


def test_an_unknown_network_is_refused():
    with pytest.raises(InvalidArgumentError, match="resnet"):
        build_networks("resnet", image_shape=(64, 64, 1), num_latents=10)
