"""A card: what its folder holds, and that somebody else's directions are applied from the hub."""

import json
from pathlib import Path

import pytest

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError, RunFolderError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.files import sha256_of
from ganspace_topdis.traversal.names import DirectionName, write_names
from stylegan2 import loading
from stylegan2.loading import CHECKPOINT_KEY, load_run
from stylegan2.runs.model_card import write_card
from stylegan2.settings import RunSettings
from stylegan2.zoo import locate
from tests.stylegan2.commands.found_directions import main, write_found


@pytest.fixture
def found(tmp_path):
    """A checkpoint, and a folder with its directions and two pictures."""
    folder = tmp_path / "found"
    folder.mkdir()
    ckpt, path, _ = write_found(folder)
    (folder / "traversals").mkdir()
    for name in ("overview.png", "direction_01.png"):
        (folder / "traversals" / name).write_bytes(b"png")
    return ckpt, path


def test_the_folder_holds_directions_card_and_pictures(found, tmp_path):
    ckpt, run = found
    written = write_card(run.parent, tmp_path / "card", license_id="cc-by-4.0", ckpt=str(ckpt))
    names = ["directions.safetensors", "README.md", "pictures/overview.png", "pictures/direction_01.png"]
    assert [path.relative_to(tmp_path / "card").as_posix() for path in written] == names
    card = written[1].read_text()
    assert card.startswith("---\nlicense: cc-by-4.0\nlibrary_name: topdis-gan\ntags:\n")
    assert sha256_of(ckpt) in card
    assert "small.safetensors" in card
    assert str(tmp_path) not in card
    assert "--directions hf://OWNER/REPO/directions.safetensors --ckpt FILE" in card
    assert all(f"](pictures/{name})" in card for name in ("overview.png", "direction_01.png"))
    assert Directions.load(written[0]).fingerprint == Directions.load(run).fingerprint


def test_a_card_does_not_name_a_checkpoint_of_this_machine_that_is_another(found, tmp_path):
    with pytest.raises(CheckpointError, match="SHA-256"):
        write_card(found[1], tmp_path / "card", license_id="mit", ckpt="pebbles")
    assert not (tmp_path / "card").exists()


def test_directions_of_no_generator_have_no_card(found, tmp_path):
    directions = Directions.load(found[1])
    del directions.metadata["space"]
    directions.save(found[1])
    with pytest.raises(CheckpointError, match="does not say which space of a generator its directions are of"):
        write_card(found[1], tmp_path / "card", license_id="mit")
    assert not (tmp_path / "card").exists()


def test_the_card_marks_named_directions_too(found, tmp_path):
    directions = Directions.load(found[1])
    directions.metadata.update({"score": [0.5, 0.4, 0.3], "better_than_chance": [True, False, True]})
    directions.save(found[1])
    write_names(found[1].parent / "names.json", {1: DirectionName(name="Smile")})
    write_card(found[1], tmp_path / "card", license_id="mit")
    assert "| Smile (chance level) | 0.4 |" in (tmp_path / "card/README.md").read_text()


def test_a_local_checkpoint_is_not_named_in_the_directions_and_a_published_one_is(found, tmp_path):
    ckpt, run = found
    write_card(run, tmp_path / "local", license_id="mit", ckpt=str(ckpt))
    assert CHECKPOINT_KEY not in Directions.load(tmp_path / "local").metadata
    write_card(run, tmp_path / "public", license_id="mit", ckpt="hf://me/nets/a.pkl")
    assert Directions.load(tmp_path / "public").metadata[CHECKPOINT_KEY] == "hf://me/nets/a.pkl"
    assert "--ckpt FILE" not in (tmp_path / "public/README.md").read_text()


@pytest.mark.parametrize("license_id", [None, "", "MIT\nlicense: none", "a: b"])
def test_a_card_without_a_license_is_refused_with_examples_of_one(found, tmp_path, license_id):
    with pytest.raises(InvalidArgumentError, match=r"`license`.*cc-by-4\.0") as caught:
        write_card(found[1], tmp_path / "card", license_id=license_id)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "card").exists()


def test_a_folder_that_is_not_empty_is_left_alone(found, tmp_path):
    with pytest.raises(RunFolderError, match="give a new folder as `out`"):
        write_card(found[1], found[1].parent, license_id="mit")


def test_texts_of_the_metadata_cannot_add_markup(found, tmp_path):
    directions = Directions.load(found[1])
    directions.metadata["method"] = "a\n<script>|[x](y)"
    directions.save(found[1])
    write_card(found[1], tmp_path / "card", license_id="mit")
    assert not set("<>") & set((tmp_path / "card/README.md").read_text())


def test_the_command_writes_the_card_or_a_format_but_not_both(found, tmp_path, capsys):
    run = str(found[1])
    assert main("export", run, "--card", "--license", "mit", "--out", str(tmp_path / "card"), "--json") == 0
    assert str(tmp_path / "card/README.md") in json.loads(capsys.readouterr().out)["files"]
    assert main("export", run, "--card") != 0
    assert "--license" in capsys.readouterr().err
    assert main("export", run) == main("export", run, "--card", "--to", "npy") == 2


def test_directions_of_the_hub_are_loaded_with_the_checkpoint_that_they_name(found, tmp_path, monkeypatch):
    ckpt, run = found
    write_card(run, tmp_path / "card", license_id="mit", ckpt="hf://me/nets/small.safetensors")
    files = {
        "hf:/me/found/directions.safetensors": tmp_path / "card/directions.safetensors",
        "hf://me/nets/small.safetensors": ckpt,
    }
    monkeypatch.setattr(loading, "fetch_from_hub", lambda text: files[str(text)])
    monkeypatch.setattr(loading, "locate", lambda name: files.get(name) or locate(name))
    loaded = load_run(Path("hf://me/found/directions.safetensors"), RunSettings(device="cpu"))
    assert loaded.directions.fingerprint == Directions.load(run).fingerprint
    assert loaded.folder == Path("runs/found")


def test_directions_cannot_name_a_file_of_this_machine(found, tmp_path):
    ckpt, run = found
    directions = Directions.load(run)
    directions.metadata[CHECKPOINT_KEY] = str(ckpt)
    with pytest.raises(CheckpointError, match="give `ckpt`"):
        load_run(directions.save(tmp_path / "theirs.safetensors"), RunSettings(device="cpu"))
