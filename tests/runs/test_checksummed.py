import json
import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from ganspace_topdis.errors import CheckpointError, RunFolderError
from ganspace_topdis.runs.checksummed import flatten, load_checksummed, save_checksummed, unflatten

TENSORS = {
    "weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "step": torch.tensor(7),
    "empty": torch.zeros(0, 4),
    "mask": torch.tensor([True, False]),
}
DESCRIPTION = {"seed": 3, "names": ["a", "ä"], "nested": {"rate": 0.1}}


@pytest.fixture
def path(tmp_path):
    return save_checksummed(tmp_path / "a.safetensors", TENSORS, DESCRIPTION)


def test_tensors_and_description_are_restored_exactly(path):
    tensors, description = load_checksummed(path)
    assert description == DESCRIPTION
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert tensors[name].shape == tensor.shape
        assert torch.equal(tensors[name], tensor)


def test_loaded_tensors_are_aligned_like_new_ones(path):
    tensors, _ = load_checksummed(path)
    assert all(tensor.data_ptr() % 64 == 0 for tensor in tensors.values())


def test_equal_contents_give_equal_files(path, tmp_path):
    for _ in range(20):  # safetensors writes its header in arbitrary order
        again = save_checksummed(tmp_path / "b.safetensors", dict(reversed(TENSORS.items())), DESCRIPTION)
        assert again.read_bytes() == path.read_bytes()


def test_every_flipped_bit_is_detected(tmp_path):
    path = save_checksummed(tmp_path / "small", {"x": torch.tensor([1.0, -2.0]), "n": torch.tensor(3)}, {"seed": 3})
    data = path.read_bytes()
    for index in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[index // 8] ^= 1 << index % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_checksummed(path)


def test_truncated_and_extended_files_are_detected(path):
    data = path.read_bytes()
    for damaged in [*(data[:length] for length in range(0, len(data), 5)), data + b"\0"]:
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_checksummed(path)


def test_other_tools_can_read_it(path):
    assert torch.equal(load_file(path)["weight"], TENSORS["weight"])


def test_a_safetensors_file_of_another_tool_is_refused(tmp_path):
    save_file({"x": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="not written by topdis-gan"):
        load_checksummed(tmp_path / "other.safetensors")


def test_a_missing_file_raises_a_typed_error(tmp_path):
    with pytest.raises(CheckpointError, match="no file at"):
        load_checksummed(tmp_path / "missing")


def test_views_and_transposed_tensors_are_stored_by_value(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    path = save_checksummed(tmp_path / "a", {"a": whole[1:], "b": whole.T, "c": whole}, {})
    tensors, _ = load_checksummed(path)
    assert torch.equal(tensors["a"], whole[1:])
    assert torch.equal(tensors["b"], whole.T)


def test_a_full_disk_keeps_the_old_file(path, full_disk):
    with full_disk(1000), pytest.raises(RunFolderError):
        save_checksummed(path, {"x": torch.zeros(1000)}, {})
    assert load_checksummed(path)[1] == DESCRIPTION


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
TREES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.integers() | st.text(max_size=3) | st.booleans(), inner, max_size=3)
    ),
    max_leaves=12,
)


def through_json(state):
    tensors, rest = flatten(state)
    return unflatten(tensors, json.loads(json.dumps(rest, allow_nan=False)))


@given(TREES)
def test_any_pytree_is_restored_with_the_same_types_and_bits(state):
    assert repr(through_json(state)) == repr(state)  # repr distinguishes 1 and True, tuple and list, and shows NaN


def test_tensors_and_arrays_are_restored_with_their_types():
    state = {"t": torch.tensor([1.0, math.nan]), "a": np.arange(3, dtype=np.uint32), "n": [torch.tensor(2)]}
    again = through_json(state)
    assert torch.equal(again["t"].isnan(), state["t"].isnan())
    assert again["a"].dtype == np.uint32
    assert again["a"].tolist() == [0, 1, 2]
    assert again["n"][0].item() == 2


def test_numpy_scalars_become_python_numbers():
    assert through_json([np.int64(3), np.float64(0.1)]) == [3, 0.1]


def test_names_never_collide():
    tensors, rest = flatten({"a.b": torch.zeros(1), "a": {"b": torch.ones(1)}})
    assert len(tensors) == 2
    assert unflatten(tensors, rest)["a"]["b"].item() == 1


def test_the_error_names_the_position_of_a_value_that_cannot_be_stored():
    with pytest.raises(TypeError, match=r"cannot store a object at 0\.1"):
        flatten({"a": [1, object()]})
    with pytest.raises(TypeError, match="keys are strings or integers"):
        flatten({(1, 2): 3})


@pytest.mark.parametrize("optimizer_class", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop])
def test_an_optimizer_restored_from_its_pytree_takes_the_same_steps(tmp_path, optimizer_class):
    def build():
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))
        options = {} if "Adam" in optimizer_class.__name__ else {"momentum": 0.9}
        return model, optimizer_class(model.parameters(), lr=0.01, **options)

    def train(model, optimizer, first, last):
        for step in range(first, last):
            x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()

    model, optimizer = build()
    train(model, optimizer, 0, 4)
    path = tmp_path / "a"
    save_checksummed(path, *flatten(OrderedDict(model=model.state_dict(), optimizer=optimizer.state_dict())))
    train(model, optimizer, 4, 8)
    other, other_optimizer = build()
    state = unflatten(*load_checksummed(path))
    other.load_state_dict(state["model"])
    other_optimizer.load_state_dict(state["optimizer"])
    train(other, other_optimizer, 4, 8)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
