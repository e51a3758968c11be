import pytest
import torch

from ganspace_topdis.errors import CheckpointError, RunFolderError
from ganspace_topdis.runs.checkpoints import CheckpointStore
from ganspace_topdis.runs.checksummed import flatten, save_checksummed, unflatten


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "checkpoints")


def save(store, *steps):
    for step in steps:
        store.save(step, {"x": torch.full((100,), float(step))}, {"step": step})


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[-5] ^= 4
    path.write_bytes(data)


def test_no_checkpoint_is_none(store):
    assert store.load_newest() is None
    assert not store.folder.exists()


def test_the_newest_checkpoint_is_loaded(store):
    save(store, 1, 20, 3)
    store.save(100, {"x": torch.arange(3)}, ["anything", {"in": "json"}])
    checkpoint = store.load_newest()
    assert checkpoint.step == 100
    assert checkpoint.tensors["x"].tolist() == [0, 1, 2]
    assert checkpoint.rest == ["anything", {"in": "json"}]


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).reshape(2, 3).T,
        torch.arange(48.0).reshape(2, 2, 3, 4).to(memory_format=torch.channels_last),
        torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1),
        torch.tensor(1.0),
    ],
)
def test_a_tensor_keeps_its_memory_layout(store, tensor):
    store.save(1, {"x": tensor}, None)
    again = store.load_newest().tensors["x"]
    assert torch.equal(again, tensor)
    assert again.stride() == tensor.stride()


def test_views_with_gaps_or_overlaps_keep_their_values(store):
    views = {"gap": torch.arange(6.0)[::2], "repeat": torch.ones(2, 1).expand(2, 3), "empty": torch.zeros(0, 3).T}
    store.save(1, views, None)
    again = store.load_newest().tensors
    assert all(torch.equal(again[name], view) for name, view in views.items())


def test_an_optimizer_of_a_transposed_weight_resumes_bit_for_bit(store):
    def build():
        weight = torch.nn.Parameter(torch.linalg.qr(torch.arange(36.0).reshape(6, 6).cos())[0].T.contiguous().T)
        return weight, torch.optim.Adam([weight], lr=0.03, betas=(0.9, 0.99))

    def train(weight, adam, steps):
        for step in steps:
            adam.zero_grad()
            (weight @ torch.randn(6, 4, generator=torch.Generator().manual_seed(step))).tanh().sum().backward()
            adam.step()

    weight, adam = build()
    train(weight, adam, range(5))
    store.save(5, *flatten({"weight": weight.detach(), "adam": adam.state_dict()}))
    train(weight, adam, range(5, 40))
    checkpoint = store.load_newest()
    state = unflatten(checkpoint.tensors, checkpoint.rest)
    other, other_adam = build()
    other.data.copy_(state["weight"])
    other_adam.load_state_dict(state["adam"])
    train(other, other_adam, range(5, 40))
    assert torch.equal(weight, other)


def test_the_last_two_checkpoints_are_kept(store):
    save(store, 1, 2, 3, 4)
    assert store.steps() == [3, 4]


@pytest.mark.parametrize("damage", [flip_a_bit, lambda path: path.write_bytes(path.read_bytes()[:-1])])
def test_a_damaged_newest_checkpoint_falls_back_to_the_previous_one_with_a_warning(store, damage):
    save(store, 1, 2)
    damage(store.path(2))
    with pytest.warns(UserWarning, match="step_000000002.*going on from step 1"):
        assert store.load_newest().step == 1


def test_the_next_save_removes_damaged_files_of_later_steps(store):
    save(store, 1, 20)
    flip_a_bit(store.path(20))
    save(store, 10)
    assert store.steps() == [1, 10]


def test_an_error_is_raised_when_all_checkpoints_are_damaged(store):
    save(store, 1, 2)
    flip_a_bit(store.path(1))
    flip_a_bit(store.path(2))
    with pytest.raises(CheckpointError, match="no usable checkpoint"):
        store.load_newest()


def test_a_renamed_checkpoint_is_refused(store):
    save(store, 1, 2)
    store.path(1).rename(store.path(9))
    with pytest.warns(UserWarning, match="not the step in its name"):
        assert store.load_newest().step == 2


def test_a_checksummed_file_of_another_kind_is_not_a_checkpoint(store):
    save(store, 1)
    save_checksummed(store.path(2), {"x": torch.zeros(1)}, {"step": 2})
    with pytest.warns(UserWarning, match="not a checkpoint of a run"):
        assert store.load_newest().step == 1


def test_other_files_in_the_folder_stay(store):
    save(store, 1)
    (store.folder / "notes.txt").write_text("mine")
    save(store, 2, 3)
    assert (store.folder / "notes.txt").exists()
    assert store.steps() == [2, 3]


def test_a_full_disk_keeps_both_earlier_checkpoints(store, full_disk):
    save(store, 1, 2)
    with full_disk(300), pytest.raises(RunFolderError, match="step_000000003"):
        save(store, 3)
    assert store.steps() == [1, 2]
    assert store.load_newest().step == 2


def test_a_read_only_run_folder_raises_a_typed_error(read_only):
    with read_only() as folder, pytest.raises(RunFolderError, match="checkpoints"):
        save(CheckpointStore(folder / "checkpoints"), 1)
