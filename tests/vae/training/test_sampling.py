import numpy as np
import pytest
import torch

from vae.training.sampling import Batches, RandomStreams


def test_batches_are_the_data_sets_own_draws_between_zero_and_one(tiny):
    batch = Batches(tiny, 16, torch.device("cpu")).draw(np.random.default_rng(3))
    expected = tiny.images(tiny.sample(16, np.random.default_rng(3)))
    assert batch.shape == (16, 1, 16, 16)
    assert np.array_equal(batch.permute(0, 2, 3, 1).numpy(), expected / np.float32(255))
    assert set(batch.unique().tolist()) == {0.0, 1.0}


def test_a_resident_data_set_gives_the_same_batches(tiny):
    there, here = (
        Batches(tiny, 16, torch.device("cpu"), resident=r).draw(np.random.default_rng(3)) for r in (True, False)
    )
    assert torch.equal(there, here)


CPU = torch.device("cpu")


def draws(random):
    return random.host.random(3).tolist() + torch.rand(3, generator=random.device).tolist()


def test_seed_and_stream_name_the_draws():
    assert draws(RandomStreams(0, 0, CPU)) == draws(RandomStreams(0, 0, CPU))
    others = [draws(RandomStreams(seed, stream, CPU)) for seed, stream in ((0, 0), (0, 1), (1, 0))]
    assert len(np.unique(others)) == 18


def test_a_restored_state_draws_what_would_have_come_next():
    first, second = RandomStreams(3, 0, CPU), RandomStreams(4, 1, CPU)
    draws(first)
    second.load_state(first.state())
    assert draws(second) == draws(first)


def test_noise_is_drawn_anew_on_another_kind_of_device():
    random = RandomStreams(0, 0, CPU)
    state = {**random.state(), "kind": "cuda"}
    with pytest.warns(UserWarning, match="the run was on cuda; on cpu its noise differs"):
        random.load_state(state)
