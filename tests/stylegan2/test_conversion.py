import json

import pytest
import torch

import stylegan2
from ganspace_topdis.errors import InvalidArgumentError
from stylegan2 import Generator
from stylegan2.conversion import convert, inspect
from tests.stylegan2.foreign_files import flat_tensors, torch_bytes
from tests.stylegan2.nvidia_files import snapshot_bytes


@pytest.fixture
def snapshot(tmp_path, reference_generator):
    path = tmp_path / "network.pkl"
    path.write_bytes(snapshot_bytes(reference_generator))
    return path


@pytest.mark.parametrize("to", ["safetensors", "rosinality"])
def test_a_round_trip_keeps_every_bit(tmp_path, snapshot, reference_generator, to):
    again = stylegan2.load(convert(snapshot, tmp_path / "out", to=to)).state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in reference_generator.state_dict().items())


def test_a_round_trip_through_rosinality_and_back_gives_the_same_file(tmp_path, snapshot):
    first = convert(snapshot, tmp_path / "first.pt", to="rosinality")
    second = convert(convert(first, tmp_path / "a.safetensors"), tmp_path / "second.pt", to="rosinality")
    assert torch.load(first).keys() == torch.load(second).keys()


def test_inspect_tells_format_sizes_and_layers_as_json(snapshot):
    report = json.loads(json.dumps(inspect(snapshot)))
    assert report["format"] == "NVIDIA PyTorch pickle"
    assert (report["img_resolution"], report["num_ws"], report["conditional"]) == (32, 8, False)
    assert report["channels"] == {"4": 16, "8": 16, "16": 16, "32": 8}
    assert len(report["sha256"]) == 64


def test_inspect_says_what_was_filled_in(tmp_path, reference_generator):
    (tmp_path / "g.pt").write_bytes(torch_bytes({"g_ema": flat_tensors(reference_generator, "rosinality")}))
    assert any("mean style was missing" in note for note in inspect(tmp_path / "g.pt")["notes"])


def test_rosinality_cannot_hold_classes(tmp_path):
    generator = Generator(z_dim=2, w_dim=2, c_dim=2, img_resolution=8, num_mapping_layers=1, channel_base=16)
    path = stylegan2.save(generator, tmp_path / "g.safetensors")
    with pytest.raises(InvalidArgumentError, match="unconditional"):
        convert(path, tmp_path / "g.pt", to="rosinality")


def test_an_unknown_target_is_refused(tmp_path, snapshot):
    with pytest.raises(InvalidArgumentError, match="safetensors, rosinality"):
        convert(snapshot, tmp_path / "out", to="onnx")
