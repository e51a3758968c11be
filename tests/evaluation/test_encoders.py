import torch

from ganspace_topdis.evaluation.encoders import pooled, small_encoder, train


def test_only_large_images_are_pooled() -> None:
    assert pooled(torch.zeros(1, 3, 64, 64)).shape[-1] == 32
    assert pooled(torch.zeros(1, 3, 16, 16)).shape[-1] == 16


def test_a_seed_fixes_the_weights_and_leaves_the_global_state_alone() -> None:
    state = torch.get_rng_state()
    first, second = (small_encoder(3, 2, 16, 4, seed=1)(torch.ones(1, 3, 16, 16)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())


def test_training_learns_the_mean_of_an_image() -> None:
    rng = torch.Generator().manual_seed(0)
    network = small_encoder(1, 1, 8, 4, seed=0)
    levels = torch.randn(64, 1, generator=rng)
    images = levels[:, :, None, None].expand(-1, 1, 8, 8)
    train(network, lambda _: (images, levels), torch.nn.functional.mse_loss, 150, 1e-2)
    assert torch.nn.functional.mse_loss(network(images), levels) < 0.05
