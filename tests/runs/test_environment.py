import json
import random

import numpy as np
import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.checksummed import flatten, load_checksummed, save_checksummed, unflatten
from ganspace_topdis.runs.environment import (
    describe_environment,
    random_states,
    restore_random_states,
    seed_everything,
    use_deterministic_algorithms,
)


def test_the_environment_has_versions_and_device_and_is_json():
    environment = describe_environment("cpu")
    assert json.loads(json.dumps(environment)) == environment
    assert environment["packages"]["torch"] == torch.__version__
    assert environment["device"] == "cpu"
    assert environment["num_threads"] == torch.get_num_threads()


def test_the_environment_does_not_name_the_user_or_git():
    assert not {"user", "home", "git", "commit", "host"} & describe_environment().keys()


@pytest.fixture(autouse=True)
def untouched():
    before = random_states()
    yield
    restore_random_states(before)


def draw():
    return random.random(), np.random.rand(), np.random.randn(), torch.randn(3).tolist()  # noqa: NPY002


def test_equal_seeds_give_equal_draws_from_every_generator():
    seed_everything(5)
    first = draw()
    seed_everything(5)
    assert draw() == first
    seed_everything(6)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_states_restored_from_a_file_give_the_same_draws(tmp_path):
    seed_everything(1)
    np.random.randn()  # noqa: NPY002 (leaves half a pair of normals in the state)
    save_checksummed(tmp_path / "a", *flatten(random_states()))
    expected = draw()
    seed_everything(2)
    restore_random_states(unflatten(*load_checksummed(tmp_path / "a")))
    assert draw() == expected


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(InvalidArgumentError, match=f"`seed` is {seed}"):
        seed_everything(seed)


def test_deterministic_algorithms_are_enabled_in_torch():
    try:
        use_deterministic_algorithms()
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
    finally:
        torch.use_deterministic_algorithms(False)
