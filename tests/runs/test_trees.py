import json
import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganspace_topdis.runs.sealed import load_sealed, save_sealed
from ganspace_topdis.runs.trees import flatten, unflatten

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
def test_any_nested_state_comes_back_with_the_same_types_and_bits(state):
    assert repr(through_json(state)) == repr(state)  # repr tells 1 from True, tuple from list, and knows NaN


def test_tensors_and_arrays_come_back_as_what_they_were():
    state = {"t": torch.tensor([1.0, math.nan]), "a": np.arange(3, dtype=np.uint32), "n": [torch.tensor(2)]}
    again = through_json(state)
    assert torch.equal(again["t"].isnan(), state["t"].isnan())
    assert again["a"].dtype == np.uint32
    assert again["a"].tolist() == [0, 1, 2]
    assert again["n"][0].item() == 2


def test_numpy_scalars_become_python_s_own():
    assert through_json([np.int64(3), np.float64(0.1)]) == [3, 0.1]


def test_names_never_collide():
    tensors, rest = flatten({"a.b": torch.zeros(1), "a": {"b": torch.ones(1)}})
    assert len(tensors) == 2
    assert unflatten(tensors, rest)["a"]["b"].item() == 1


def test_what_cannot_be_stored_is_refused_with_its_place():
    with pytest.raises(TypeError, match=r"cannot store a object at 0\.1"):
        flatten({"a": [1, object()]})
    with pytest.raises(TypeError, match="keys are text or integers"):
        flatten({(1, 2): 3})


@pytest.mark.parametrize("optimizer_class", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop])
def test_an_optimiser_taken_apart_and_put_together_takes_the_same_steps(tmp_path, optimizer_class):
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
    save_sealed(path, *flatten(OrderedDict(model=model.state_dict(), optimizer=optimizer.state_dict())))
    train(model, optimizer, 4, 8)
    other, other_optimizer = build()
    state = unflatten(*load_sealed(path))
    other.load_state_dict(state["model"])
    other_optimizer.load_state_dict(state["optimizer"])
    train(other, other_optimizer, 4, 8)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
