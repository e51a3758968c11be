import numpy as np
import torch

from vae.training.batches import Batches


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
