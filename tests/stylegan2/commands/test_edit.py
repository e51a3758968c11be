import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError, RunFolderError
from ganspace_topdis.runs.outputs import OutputSettings
from ganspace_topdis.traversal.frames import to_uint8
from ganspace_topdis.traversal.names import NAMES_FILE, DirectionName, write_names
from stylegan2 import save
from stylegan2.commands.edit import Options, parse_amounts, run
from stylegan2.runs.pictures import source_of
from stylegan2.settings import RunSettings
from stylegan2.space import LatentSpace
from tests.stylegan2.commands.found_directions import small_generator, write_found

CODES = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))


def run_edit(tmp_path, codes=CODES, *, amounts="0=+2,2=-1", space=None, **options):
    ckpt, path, directions = write_found(tmp_path, **(space or {}))
    np.save(tmp_path / "photo.npy", codes.numpy())
    loading = {"ckpt": str(ckpt), "device": "cpu"}
    loading |= {name: options.pop(name) for name in ("ckpt", "layers") if name in options}
    options = {"latents": tmp_path / "photo.npy", "loading": RunSettings(**loading), **options}
    options = {"out": tmp_path / "out", "output": OutputSettings(force=True), **options}
    written = run(Options(directions=path, amounts=amounts, **options))["files"]
    return {Path(each).name: Path(each) for each in written}, directions


def test_the_codes_move_by_the_sum_of_the_named_displacements(tmp_path):
    written, directions = run_edit(tmp_path)
    moved = torch.from_numpy(np.load(written["edited.npy"]))
    assert torch.allclose(moved - CODES, (2 * directions.vectors[0] - directions.vectors[2]).expand(2, 6, 8), atol=1e-6)


def test_amounts_are_in_the_units_of_the_directions(tmp_path):
    written, directions = run_edit(tmp_path, space={"units": (0.5, 1.0, 3.0)})
    moved = torch.from_numpy(np.load(written["edited.npy"])) - CODES
    plain = directions.in_sigmas().vectors
    assert torch.allclose(moved, (1.0 * plain[0] - 3.0 * plain[2]).expand(2, 6, 8), atol=1e-6)


def test_only_the_named_layers_move(tmp_path):
    written, _ = run_edit(tmp_path, layers="4-5")
    moved = torch.from_numpy(np.load(written["edited.npy"]))
    assert torch.equal(moved[:, :4], CODES[:, :4])
    assert not torch.equal(moved[:, 4:], CODES[:, 4:])


def test_the_images_are_those_of_the_codes_before_and_after(tmp_path):
    written, _ = run_edit(tmp_path)
    edited = torch.from_numpy(np.load(written["edited.npy"]))
    before, after = (to_uint8(small_generator().synthesis(codes)) for codes in (CODES, edited))
    assert np.array_equal(np.asarray(Image.open(written["edited_01.png"])), after[1])
    sheet = np.asarray(Image.open(written["before_after.png"]))
    assert np.array_equal(sheet[36:160:8, 4:128:8], before[0])  # below the headings, enlarged eightfold
    assert np.array_equal(sheet[-124::8, -124::8], after[1])
    assert all((strip < 100).any() for strip in (sheet[:32, :128], sheet[:32, -128:]))  # before and after


def test_edited_codes_can_be_edited_back(tmp_path):
    written, _ = run_edit(tmp_path)
    again, _ = run_edit(tmp_path, torch.from_numpy(np.load(written["edited.npy"])), amounts="0=-2,2=1")
    assert np.allclose(np.load(again["edited.npy"]), CODES.numpy(), atol=1e-5)


def test_channels_of_a_photos_styles_are_moved_by_directions_of_channels(tmp_path):
    written, directions = run_edit(tmp_path, space={"name": "s"})
    space = LatentSpace(generator=small_generator(), name="s")
    moved = torch.from_numpy(np.load(written["edited.npy"])) - space.styles.of(CODES)
    assert torch.allclose(moved, (2 * directions.vectors[0] - directions.vectors[2]).expand_as(moved), atol=1e-5)


def test_seeds_stand_in_for_a_photo(tmp_path):
    written, _ = run_edit(tmp_path, latents=None, seeds=(3, 4))
    assert np.load(written["edited.npy"]).shape == (2, 6, 8)
    assert json.loads(written["edit.json"].read_text())["seeds"] == [3, 4]


def test_another_checkpoint_is_refused_unless_it_is_said_to_be_tuned(tmp_path):
    (tmp_path / "other").mkdir()
    other = save(small_generator(seed=5), tmp_path / "other/tuned.safetensors")
    with pytest.raises(CheckpointError, match="SHA-256"):
        run_edit(tmp_path, ckpt=str(other))
    written, _ = run_edit(tmp_path, ckpt=str(other), tuned=True)
    edited = torch.from_numpy(np.load(written["edited.npy"]))
    expected = to_uint8(small_generator(seed=5).synthesis(edited))
    assert np.array_equal(np.asarray(Image.open(written["edited_00.png"])), expected[0])


def test_a_tuned_checkpoint_has_to_be_given(tmp_path):
    with pytest.raises(InvalidArgumentError, match="`tuned` is about a checkpoint of your own; give it as `ckpt`"):
        Options(directions=tmp_path, amounts="0=1", seeds=(1,), tuned=True)


def test_layers_that_the_directions_were_not_found_in_are_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match=r"found in layers 0-1; give"):
        run_edit(tmp_path, space={"layers": (0, 1)}, layers="4-5")


@pytest.mark.parametrize("name", ["w+", "s"])
def test_chosen_layers_of_directions_that_name_all_layers_move_alone(tmp_path, name):
    written, directions = run_edit(tmp_path, space={"name": name}, layers="4-5")
    space = LatentSpace(generator=small_generator(), name=name)
    before = space.styles.of(CODES) if name == "s" else CODES.flatten(1)
    moved = torch.from_numpy(np.load(written["edited.npy"])).flatten(1) - before
    step = 2 * directions.vectors[0] - directions.vectors[2]
    layer_of = space.placed(directions).layer_of
    chosen = (layer_of == 4) | (layer_of == 5)
    assert 0 < chosen.sum() < len(chosen)
    assert torch.allclose(moved, torch.where(chosen, step, 0.0).expand_as(moved), atol=1e-5)


def test_styles_of_a_photo_are_moved_layer_by_layer_in_w_plus(tmp_path):
    written, directions = run_edit(tmp_path, space={"name": "w+"})
    moved = torch.from_numpy(np.load(written["edited.npy"])) - CODES
    step = (2 * directions.vectors[0] - directions.vectors[2]).reshape(6, 8)
    assert torch.allclose(moved, step.expand_as(moved), atol=1e-5)
    again, _ = run_edit(tmp_path, CODES + moved, amounts="0=-2,2=1", space={"name": "w+"})
    assert np.allclose(np.load(again["edited.npy"]), CODES.numpy(), atol=1e-5)


def test_latents_and_seeds_contradict_each_other():
    with pytest.raises(InvalidArgumentError, match="either `latents` or `seeds`"):
        Options(directions=Path("x"), amounts="0=1")


def test_a_direction_can_be_called_by_the_name_it_was_given(tmp_path):
    *_, directions = write_found(tmp_path)
    names = {1: DirectionName(name="Smile")}
    write_names(tmp_path / NAMES_FILE, names, source=source_of(directions))
    written, _ = run_edit(tmp_path, amounts="smile=1")
    assert json.loads(written["edit.json"].read_text())["amounts"] == {"1": 1.0}
    with pytest.raises(InvalidArgumentError, match="the nearest name is 'smile'"):
        parse_amounts("smil=1", directions, names={1: "Smile"})
    with pytest.raises(InvalidArgumentError, match="so are called directions 0, 2; give a number"):
        parse_amounts("dup=-1", directions, names={0: "dup", 1: "Smile", 2: "Dup"})
    named = {0: "eyes, mouth, left", 1: "Smile"}
    assert parse_amounts("2=1, Eyes, mouth, left=-2,smile=3", directions, names=named) == {2: 1, 0: -2, 1: 3}


@pytest.mark.parametrize(
    "text", ["", "3", "0=", "0=x", "0=nan", "0=inf", "0=101", "9=1", "-1=1", "0=1,0=2", "0=1,2", "ghost=1"]
)
def test_an_amount_that_cannot_be_meant_is_refused(tmp_path, text):
    _, _, directions = write_found(tmp_path)
    with pytest.raises(InvalidArgumentError, match="`amounts`"):
        parse_amounts(text, directions, names={})


def test_an_edit_that_fails_leaves_the_earlier_one_and_a_new_one_leaves_no_old_image(tmp_path):
    run_edit(tmp_path, seeds=(3, 4), latents=None)
    before = sorted(path.name for path in (tmp_path / "out").iterdir())
    wrong = tmp_path / "wrong.npy"
    np.save(wrong, np.zeros((600, 2), dtype=np.float32))
    with pytest.raises(InvalidArgumentError, match="shape"):
        run_edit(tmp_path, latents=wrong)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == before
    run_edit(tmp_path, seeds=(3,), latents=None)
    assert len(before) - len(list((tmp_path / "out").iterdir())) == 1


def test_folders_tell_their_settings_and_nothing_is_replaced_unasked(tmp_path):
    keep = {"out": None, "output": OutputSettings(), "latents": None}
    first, _ = run_edit(tmp_path, seeds=(3, 4), **keep)
    assert first["edit.json"].parent == tmp_path / "edits" / "seeds_3-4_set_0=+2_2=-1"
    content = first["edited.npy"].read_bytes()
    with pytest.raises(RunFolderError, match=r"before_after\.png and 4 more would be replaced; give `force`"):
        run_edit(tmp_path, seeds=(3, 4), **keep)
    others = [
        run_edit(tmp_path, seeds=(3, 4), amounts="0=+2.5", **keep),
        run_edit(tmp_path, seeds=(3, 4), layers="4-5", truncation_psi=0.5, **keep),
    ]
    names = [written["edit.json"].parent.name for written, _ in others]
    assert names == ["seeds_3-4_set_0=+2.5", "seeds_3-4_set_0=+2_2=-1_psi_0.5_layers_4-5"]
    assert first["edited.npy"].read_bytes() == content


def test_no_picture_of_an_earlier_edit_is_left_beside_a_new_one(tmp_path):
    run_edit(tmp_path, latents=None, seeds=(1, 2, 3))
    run_edit(tmp_path, latents=None, seeds=(4,))
    assert [path.name for path in sorted((tmp_path / "out").glob("edited_*.png"))] == ["edited_00.png"]


def test_truncation_is_refused_for_codes_of_a_file_which_ignore_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="not truncated"):
        Options(directions=tmp_path, amounts="0=1", latents=tmp_path / "photo.npy", truncation_psi=0.5)
