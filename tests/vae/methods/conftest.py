import pytest
import torch

from vae.methods.method import DataSpec
from vae.networks import Posterior


@pytest.fixture
def spec() -> DataSpec:
    return DataSpec(
        num_images=1000, image_shape=(16, 16, 1), num_latents=3, learning_rate=1e-3, device=torch.device("cpu")
    )


@pytest.fixture
def posterior() -> Posterior:
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(12, 3, generator=generator)
    logvar = torch.randn(12, 3, generator=generator) - 1
    noise = torch.randn(12, 3, generator=generator)
    return Posterior(mean=mean, logvar=logvar, sample=mean + (0.5 * logvar).exp() * noise)
