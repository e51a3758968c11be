import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError, RunFolderError
from ganspace_topdis.runs.outputs import OutputSettings
from stylegan2 import load
from stylegan2.commands.export import Options, run
from stylegan2.settings import RunSettings
from stylegan2.space import LatentSpace
from tests.stylegan2.commands.found_directions import write_found


def export(path, to, out, **options):
    return [Path(each) for each in run(Options(run=path, to=to, out=out, loading=RunSettings(**options)))["files"]]


def test_arrays_have_the_shapes_that_editors_add(tmp_path):
    ckpt, path, directions = write_found(tmp_path, layers=(1, 2))
    written = export(path, "npy", tmp_path / "out", ckpt=str(ckpt))
    assert [each.name for each in written[:2]] == ["direction_00.npy", "direction_00_layers.npy"]
    one, layers = (torch.from_numpy(np.load(each)) for each in written[:2])
    assert torch.equal(one, directions.vectors[0])
    assert layers.shape == (6, 8)
    assert torch.equal(layers[1:3], one.expand(2, 8))
    assert layers[[0, 3, 4, 5]].abs().max() == 0


def test_a_direction_of_w_plus_is_written_with_a_row_per_layer(tmp_path):
    ckpt, path, directions = write_found(tmp_path, name="w+")
    one, layers = (np.load(each) for each in export(path, "npy", tmp_path / "out", ckpt=str(ckpt))[:2])
    assert (one.shape, layers.shape) == ((48,), (6, 8))
    assert np.array_equal(layers.ravel(), one)
    assert np.array_equal(one, directions.vectors[0].numpy())


def test_a_factor_file_moves_codes_as_its_readers_do(tmp_path):
    ckpt, path, directions = write_found(tmp_path)
    (written,) = export(path, "rosinality", tmp_path / "factor.pt", ckpt=str(ckpt))
    content = torch.load(written, weights_only=True)
    assert torch.equal(2 * content["eigvec"][:, 1], 2 * directions.vectors[1])
    assert content["ckpt"] == str(ckpt)


def test_a_packaged_network_is_compared_with_the_one_that_was_searched(tmp_path):
    _, path, _ = write_found(tmp_path)
    with pytest.raises(CheckpointError, match=r"found in a checkpoint with SHA-256 .*, .*pebbles.safetensors has"):
        export(path, "rosinality", tmp_path / "factor.pt", ckpt="pebbles")
    with pytest.raises(CheckpointError, match="did you mean 'pebbles'"):
        export(path, "rosinality", tmp_path / "factor.pt", ckpt="pebblez")
    assert not (tmp_path / "factor.pt").exists()


def test_json_holds_the_vectors_and_what_is_known_of_them(tmp_path):
    _, path, directions = write_found(tmp_path)
    (written,) = export(path, "json", tmp_path / "directions.json")
    content = json.loads(written.read_text())
    assert torch.allclose(torch.tensor(content["vectors"]), directions.vectors)
    assert content["space"] == "w"


def test_a_checkpoint_is_refused_where_it_is_not_used(tmp_path):
    with pytest.raises(InvalidArgumentError, match="`to` json needs no checkpoint; leave `ckpt` out"):
        export(tmp_path, "json", tmp_path / "directions.json", ckpt="x")


def test_directions_of_some_layers_do_not_fit_a_factor_file(tmp_path):
    _, path, _ = write_found(tmp_path, layers=(1, 2))
    with pytest.raises(InvalidArgumentError, match="these directions move layers 1-2 only; give npy"):
        export(path, "rosinality", tmp_path / "factor.pt", ckpt="x")
    assert not (tmp_path / "factor.pt").exists()


def test_channels_do_not_fit_a_factor_file(tmp_path):
    _, path, _ = write_found(tmp_path, name="s")
    with pytest.raises(InvalidArgumentError, match="these are of s"):
        export(path, "rosinality", tmp_path / "factor.pt", ckpt="x")


def test_where_the_channels_of_each_layer_are_is_written_beside_directions_of_channels(tmp_path):
    ckpt, path, directions = write_found(tmp_path, name="s")
    *arrays, layout = export(path, "npy", tmp_path / "out", ckpt=str(ckpt))
    parts = json.loads(layout.read_text())
    space = LatentSpace(generator=load(ckpt), name="s")
    assert [part["affine"] for part in parts][:3] == ["b4.conv1", "b4.torgb", "b8.conv0"]
    assert [part["layer"] for part in parts] == space.styles.layers
    assert sum(part["size"] for part in parts) == directions.code_dim
    vector, last = np.load(arrays[1]), parts[-1]
    codes = space.codes_of_seeds([1])
    moved = codes + torch.from_numpy(vector)
    affine = load(ckpt).get_submodule("synthesis." + last["affine"]).get_submodule("affine")
    assert len(affine.bias) == last["size"] == directions.code_dim - last["first"]
    assert torch.allclose(moved, directions.move(codes, 1, 1.0))


def test_codes_of_z_have_no_layers_to_write(tmp_path):
    ckpt, path, _ = write_found(tmp_path, name="z")
    assert len(export(path, "npy", tmp_path / "out", ckpt=str(ckpt))) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"to": "npy", "license": "mit"}, "`license` is a line of the card"),
        ({"card": True, "output": OutputSettings(force=True)}, "`card` replaces no folder; leave `force` out"),
    ],
)
def test_options_of_the_other_kind_of_export_are_refused(tmp_path, given, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Options(run=tmp_path, **given)


@pytest.mark.parametrize("to", ["npy", "json", "rosinality"])
def test_exported_files_are_not_replaced_unasked(tmp_path, to):
    ckpt, path, _ = write_found(tmp_path)
    loading = {} if to == "json" else {"ckpt": str(ckpt)}
    first = export(path, to, None, **loading)
    assert first[0].parent == tmp_path / "exported"
    with pytest.raises(RunFolderError, match="would be replaced; give `force`, or another `out`"):
        export(path, to, None, **loading)
