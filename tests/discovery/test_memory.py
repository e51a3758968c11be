import torch

from ganspace_topdis.discovery.memory import bytes_per_code, choose_micro_batch

WEIGHT = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0))
CODES = torch.zeros(2, 4)


def generate(codes: torch.Tensor) -> torch.Tensor:
    """Keeps 1000 numbers a code for the sine's backward pass, and gives 1000 more."""
    return torch.sin(codes @ WEIGHT)


def test_what_a_code_costs_is_counted_without_the_weights_that_all_share():
    result, kept = 1000 * 4, 1000 * 4
    assert bytes_per_code(generate, CODES) == result + kept


def test_more_free_memory_never_means_fewer_codes_and_a_batch_is_enough():
    sizes = [choose_micro_batch(generate, CODES, most=48, free_bytes=2**power) for power in range(10, 30)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 1
    assert sizes[-1] == 64


def test_what_is_chosen_fits_three_times_over():
    chosen = choose_micro_batch(generate, CODES, most=1024, free_bytes=10**6)
    assert chosen * 8000 <= 10**6 / 3 < 2 * chosen * 8000


def test_a_small_change_of_what_is_free_changes_nothing():
    assert len({choose_micro_batch(generate, CODES, most=64, free_bytes=10**6 + step) for step in range(100)}) == 1
