import pytest
import torch
from safetensors.torch import load_file, save_file

from ganspace_topdis.errors import CheckpointError, RunFolderError
from ganspace_topdis.runs.sealed import load_sealed, save_sealed

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
    return save_sealed(tmp_path / "a.safetensors", TENSORS, DESCRIPTION)


def test_tensors_and_description_come_back_exactly(path):
    tensors, description = load_sealed(path)
    assert description == DESCRIPTION
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert tensors[name].shape == tensor.shape
        assert torch.equal(tensors[name], tensor)


def test_loaded_tensors_are_aligned_as_new_ones_are(path):
    tensors, _ = load_sealed(path)
    assert all(tensor.data_ptr() % 64 == 0 for tensor in tensors.values())


def test_equal_contents_give_equal_files(path, tmp_path):
    for _ in range(20):  # safetensors itself orders its header by chance
        again = save_sealed(tmp_path / "b.safetensors", dict(reversed(TENSORS.items())), DESCRIPTION)
        assert again.read_bytes() == path.read_bytes()


def test_every_single_flipped_bit_is_found(tmp_path):
    path = save_sealed(tmp_path / "small", {"x": torch.tensor([1.0, -2.0]), "n": torch.tensor(3)}, {"seed": 3})
    data = path.read_bytes()
    for index in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[index // 8] ^= 1 << index % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_sealed(path)


def test_every_truncation_and_anything_appended_is_found(path):
    data = path.read_bytes()
    for damaged in [*(data[:length] for length in range(0, len(data), 5)), data + b"\0"]:
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_sealed(path)


def test_other_tools_can_read_it(path):
    assert torch.equal(load_file(path)["weight"], TENSORS["weight"])


def test_a_safetensors_file_of_another_tool_is_refused(tmp_path):
    save_file({"x": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="not written by topdis-gan"):
        load_sealed(tmp_path / "other.safetensors")


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(CheckpointError, match="no file at"):
        load_sealed(tmp_path / "missing")


def test_views_of_one_memory_and_other_strides_are_stored_as_they_look(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    path = save_sealed(tmp_path / "a", {"a": whole[1:], "b": whole.T, "c": whole}, {})
    tensors, _ = load_sealed(path)
    assert torch.equal(tensors["a"], whole[1:])
    assert torch.equal(tensors["b"], whole.T)


def test_a_full_disk_keeps_the_old_file(path, full_disk):
    with full_disk(1000), pytest.raises(RunFolderError):
        save_sealed(path, {"x": torch.zeros(1000)}, {})
    assert load_sealed(path)[1] == DESCRIPTION
