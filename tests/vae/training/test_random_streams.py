import numpy as np
import pytest
import torch

from vae.training.random_streams import Random

CPU = torch.device("cpu")


def draws(random):
    return random.host.random(3).tolist() + torch.rand(3, generator=random.device).tolist()


def test_seed_and_stream_name_the_draws():
    assert draws(Random(0, 0, CPU)) == draws(Random(0, 0, CPU))
    others = [draws(Random(seed, stream, CPU)) for seed, stream in ((0, 0), (0, 1), (1, 0))]
    assert len(np.unique(others)) == 18


def test_a_restored_state_draws_what_would_have_come_next():
    first, second = Random(3, 0, CPU), Random(4, 1, CPU)
    draws(first)
    second.load_state(first.state())
    assert draws(second) == draws(first)


def test_noise_is_drawn_anew_on_another_kind_of_device():
    random = Random(0, 0, CPU)
    state = {**random.state(), "kind": "cuda"}
    with pytest.warns(UserWarning, match="the run was on cuda: on cpu other noise is drawn"):
        random.load_state(state)
