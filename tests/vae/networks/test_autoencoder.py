import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from vae.networks import build_networks
from vae.networks.autoencoder import compile_model


def model(network="narrow"):
    torch.manual_seed(0)
    return build_networks(network, image_shape=(16, 16, 1), num_latents=3, width=0.25)


def test_the_draw_follows_mean_and_variance():
    autoencoder = model()
    images = torch.rand(1, 1, 16, 16).expand(4000, -1, -1, -1)
    posterior = autoencoder.posterior(images, torch.Generator().manual_seed(0))
    assert torch.allclose(posterior.sample.mean(0), posterior.mean[0], atol=0.1)
    assert torch.allclose(posterior.sample.var(0), posterior.logvar[0].exp(), rtol=0.1)


def test_the_same_generator_state_gives_the_same_draw():
    images = torch.rand(4, 1, 16, 16)
    autoencoder = model()
    first, second = (autoencoder.posterior(images, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first.sample, second.sample)


def test_a_latent_that_the_first_layer_does_not_read_has_weight_zero():
    for network in ("narrow", "fc", "locatello"):
        autoencoder = model(network)
        first = next(m for m in autoencoder.decoder.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d))
        with torch.no_grad():
            first.weight[:, 1] = 0
            first.weight[:, 2] = 2
        weights = autoencoder.latent_weights()
        assert weights.shape == (3,)
        assert weights[1] == 0
        assert torch.isclose(weights[2], 2 * torch.tensor(float(len(first.weight))).sqrt())


def test_reconstructions_are_probabilities():
    images = model()(torch.rand(2, 1, 16, 16))
    assert images.shape == (2, 1, 16, 16)
    assert 0 < images.min() <= images.max() < 1


def test_compiling_changes_neither_weights_nor_their_names():
    model = build_networks("narrow", image_shape=(16, 16, 1), num_latents=2, width=0.1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    compile_model(model, device=torch.device("cpu"), precision="bf16")
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert model.decode(torch.zeros(2, 2)).dtype == torch.bfloat16


def test_cuda_graphs_need_a_cuda_device():
    model = build_networks("fc", image_shape=(8, 8, 1), num_latents=2, width=0.01)
    with pytest.raises(InvalidArgumentError, match="needs a CUDA device"):
        compile_model(model, device=torch.device("cpu"), precision="float32", compiled="cuda-graphs")
    with pytest.raises(InvalidArgumentError, match="none, default, cuda-graphs"):
        compile_model(model, device=torch.device("cpu"), precision="float32", compiled="fast")
