import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from vae.networks import build_networks
from vae.training.runtime import prepare


def test_preparing_changes_neither_weights_nor_their_names():
    model = build_networks("narrow", image_shape=(16, 16, 1), num_latents=2, width=0.1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    prepare(model, device=torch.device("cpu"), precision="bf16")
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert model.decode(torch.zeros(2, 2)).dtype == torch.bfloat16


def test_cuda_graphs_need_a_cuda_card():
    model = build_networks("fc", image_shape=(8, 8, 1), num_latents=2, width=0.01)
    with pytest.raises(InvalidArgumentError, match="no CUDA card"):
        prepare(model, device=torch.device("cpu"), precision="float32", compiled="cuda-graphs")
    with pytest.raises(InvalidArgumentError, match="none, default, cuda-graphs"):
        prepare(model, device=torch.device("cpu"), precision="float32", compiled="fast")
