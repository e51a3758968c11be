import torch
from torch import nn

from vae.networks.discriminators import code_discriminator, image_discriminator


def test_the_code_discriminator_has_six_linear_layers_of_the_published_width():
    layers = [layer for layer in code_discriminator(10) if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in layers] == [1000, 1000, 1000, 1000, 1000, 2]


def test_the_image_discriminator_gives_one_logit_an_image():
    for shape in ((64, 64, 1), (16, 16, 3), (24, 20, 1)):
        height, width, channels = shape
        assert image_discriminator(shape, width=4)(torch.rand(3, channels, height, width)).shape == (3, 1)
