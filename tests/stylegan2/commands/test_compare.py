import json
from pathlib import Path

import pytest
from PIL import Image

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError, RunFolderError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.outputs import OutputSettings
from stylegan2.commands.compare import Options, _folder_name, run, to_text
from stylegan2.runs.comparison import _match
from stylegan2.settings import PictureSettings, RunSettings
from tests.stylegan2.commands.found_directions import write_found

PICTURES = PictureSettings(num_frames=3, extent=2.0)


def compare(paths, out, *, force=False, **options):
    record = run(
        Options(
            runs=tuple(paths),
            pictures=PICTURES,
            seeds=(3,),
            out=out,
            output=OutputSettings(force=force),
            loading=RunSettings(**options),
        )
    )
    return record, [Path(each) for each in record["files"]]


@pytest.fixture
def runs(tmp_path):
    """A set of directions, the same reordered, and directions of channels; with the checkpoint."""
    ckpt, first, directions = write_found(tmp_path)
    directions.metadata.update({"method": "axes <&>", "seed": 1, "effect": [0.1, 0.2, 0.3]})
    directions.save(first)
    second = directions.select([2, 0, 1]).save(tmp_path / "reordered.safetensors")
    (tmp_path / "channels").mkdir()
    _, channels, _ = write_found(tmp_path / "channels", name="s", count=2)
    return str(ckpt), [first, second, channels]


def test_a_reordered_run_is_matched_to_the_first_by_images_and_displacements(runs, tmp_path):
    ckpt, paths = runs
    found, _ = compare(paths, tmp_path / "out", ckpt=ckpt, device="cpu")
    for kind in ("images", "displacements"):
        assert found["runs"][1][kind]["partner"] == (1, 2, 0)
        assert found["runs"][1][kind]["mean"] == pytest.approx(1, abs=1e-4)
    assert found["runs"][0]["means"] == {"effect": pytest.approx(0.2)}


def test_a_match_by_displacements_is_shown_where_images_have_none():
    images = {"partner": (-1, 4), "similarity": (0.0, 0.9)}
    displacements = {"partner": (1, -1), "similarity": (0.68, 0.0)}
    row = {"images": images, "displacements": displacements, "marks": [()] * 5}
    assert [_match(row, index) for index in (0, 1)] == ["none (1: 0.68)", "4: 0.9"]


@pytest.mark.parametrize("name", ["w", "s"])
def test_runs_of_chosen_layers_are_compared_in_those_layers(runs, tmp_path, name):
    ckpt, paths = runs
    (tmp_path / "few").mkdir()
    _, few, _ = write_found(tmp_path / "few", name=name, layers=(0, 1), count=2)
    found, written = compare([paths[0], few], tmp_path / "out", ckpt=ckpt, device="cpu")
    assert sorted(found["runs"][1]["images"]["partner"]) == [-1, 0, 1]
    assert all(Path(path).stat().st_size > 0 for path in written)


def test_another_space_is_matched_by_images_alone(runs, tmp_path):
    ckpt, paths = runs
    found, _ = compare(paths, tmp_path / "out", ckpt=ckpt, device="cpu")
    assert found["runs"][2]["displacements"] is None
    assert sorted(found["runs"][2]["images"]["partner"]) == [-1, 0, 1]


def test_page_record_and_a_sheet_for_each_direction_are_written(runs, tmp_path):
    ckpt, paths = runs
    _, written = compare(paths, tmp_path / "out", ckpt=ckpt, device="cpu")
    assert [path.name for path in written[:2]] == ["comparison.json", "comparison.html"]
    assert json.loads(written[0].read_text())["runs"][0]["seed"] == 1
    page = written[1].read_text(encoding="utf-8")
    assert "axes &lt;&amp;&gt;" in page
    assert 'src="http' not in page
    assert page.count("<img") == 3
    heights = []
    for path in written[2:]:
        with Image.open(path) as picture:
            heights.append(picture.height)
    assert max(heights) > min(heights)  # one direction has no partner among the channels


def test_marks_are_in_the_table_and_on_the_sheets_beside_any_name(runs, tmp_path, monkeypatch):
    ckpt, (first, second, _) = runs
    directions = Directions.load(second)
    directions.metadata.update({"factor": ["size", None, None], "share": [0.2, None, None]})
    directions.metadata["better_than_chance"] = [False, True, True]
    directions.save(second)
    drawn = []
    monkeypatch.setattr(
        "stylegan2.runs.comparison.draw_overview", lambda frames, labels, *_, **__: drawn.append(labels)
    )
    monkeypatch.setattr("stylegan2.runs.comparison.encode_png", lambda _: b"")
    found, written = compare([first, second], tmp_path / "out", ckpt=ckpt, device="cpu")
    assert found["runs"][1]["marks"] == [("size?", "chance level"), (), ()]
    assert "0, size?, chance level: 1 (0: 1)" in written[1].read_text(encoding="utf-8")
    assert drawn[2][1].heading == "reordered (axes <&>): Direction 0 (size?, chance level)"


def test_the_pages_own_words_hold_for_sets_of_one(runs, tmp_path):
    ckpt, (first, *_) = runs
    (tmp_path / "one").mkdir()
    one = Directions.load(first).select([1]).save(tmp_path / "one/directions.safetensors")
    found, _ = compare([one, first], tmp_path / "out", ckpt=ckpt, device="cpu")
    assert found["runs"][1]["images"]["partner"] == (1,)


def test_one_run_or_the_same_twice_is_no_comparison(runs, tmp_path):
    ckpt, paths = runs
    with pytest.raises(InvalidArgumentError, match="two or more"):
        compare(paths[:1], tmp_path / "out", ckpt=ckpt)
    with pytest.raises(InvalidArgumentError, match="twice"):
        compare([paths[0], paths[0]], tmp_path / "out", ckpt=ckpt)
    with pytest.raises(InvalidArgumentError, match="twice"):
        compare([paths[2], paths[2].parent], tmp_path / "out", ckpt=ckpt)


def test_a_run_on_another_checkpoint_is_refused_by_name(runs, tmp_path):
    ckpt, paths = runs
    other = Directions.load(paths[1])
    other.metadata["checkpoint_sha256"] = "0" * 64
    other.save(paths[1])
    with pytest.raises(CheckpointError, match=r"reordered\.safetensors cannot be compared"):
        compare(paths, tmp_path / "out", ckpt=ckpt)


def test_a_comparison_names_its_checkpoint_and_its_table_fits_the_terminal(runs, tmp_path):
    ckpt, paths = runs
    found, written = compare(paths, tmp_path / "out", ckpt=ckpt, device="cpu")
    assert {row["checkpoint"] for row in found["runs"]} == {"small.safetensors"}
    assert "small.safetensors" in written[1].read_text(encoding="utf-8")
    lines = to_text({**found, "files": []}, None).splitlines()
    assert max(map(len, lines)) <= 80
    assert "reordered" in "".join(lines)


def interrupted(*_arguments):
    raise KeyboardInterrupt


def test_the_default_folder_of_many_runs_has_a_short_name_of_its_own():
    names = [_folder_name(["ä" * 90, last], PictureSettings(seeds=(0,))) for last in ("one", "two")]
    assert len(set(names)) == 2
    assert all(len(name.encode()) < 200 for name in names)


def test_an_earlier_comparison_is_kept_and_a_forced_one_leaves_no_old_sheet(runs, tmp_path, monkeypatch):
    ckpt, paths = runs
    _, written = compare(paths[:2], None, ckpt=ckpt, device="cpu")
    assert written[0].parent == tmp_path / "comparison_directions_reordered_seed_3"
    with pytest.raises(RunFolderError, match=r"comparison\.html and 4 more would be replaced; give `force`"):
        compare(paths[:2], None, ckpt=ckpt, device="cpu")
    (tmp_path / "one").mkdir()
    one = Directions.load(paths[0]).select([1]).save(tmp_path / "one/directions.safetensors")
    with monkeypatch.context() as patch:
        patch.setattr("stylegan2.runs.comparison.walks_of", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compare([one, paths[1]], written[0].parent, force=True, ckpt=ckpt, device="cpu")
    assert len(list(written[0].parent.iterdir())) == len(written)
    compare([one, paths[1]], written[0].parent, force=True, ckpt=ckpt, device="cpu")
    assert len(list(written[0].parent.glob("direction_*.png"))) == 1
