import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.traversal.names import DirectionLabel, DirectionName, read_names, write_names
from stylegan2 import Generator, save
from stylegan2.runs.pictures import num_mixed, source_of
from stylegan2.settings import PictureSettings
from tests.stylegan2.commands.found_directions import main as run
from tests.stylegan2.commands.found_directions import write_found

FAST = ["--steps", "1", "--num-span-codes", "200", "--batch-size", "16", "--seeds", "0", "--frames", "3"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    generator = Generator(z_dim=8, w_dim=8, img_resolution=16, num_mapping_layers=2, channel_base=128, channel_max=16)
    return save(generator.eval(), tmp_path_factory.mktemp("traverse") / "small.safetensors")


@pytest.fixture(scope="module")
def finished(checkpoint: Path) -> Path:
    out = checkpoint.parent / "run"
    assert run("discover", "--ckpt", str(checkpoint), "--out", str(out), "--num-directions", "3", *FAST) == 0
    return out


@pytest.fixture
def names(finished: Path, tmp_path: Path) -> Path:
    given = {1: DirectionName(name="Smile <b>", starred=True)}
    return write_names(tmp_path / "saved.json", given, source=source_of(Directions.load(finished)))


def page_data(path: Path) -> dict:
    start = path.read_text(encoding="utf-8").partition('<script type="application/json" id="data">')[2]
    return json.loads(start.partition("</script>")[0])


def drawn(capsys: pytest.CaptureFixture, *arguments: str) -> Path:
    assert run(*arguments) == 0
    (path,) = capsys.readouterr().out.split()
    return Path(path)


def test_a_page_has_the_names_and_the_choice_that_were_given(
    finished: Path, names: Path, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    options = ["--format", "html", "--frames", "3", "--seeds", "1-2", "--direction", "1,2", "--names", str(names)]
    path = drawn(capsys, "traverse", "--directions", str(finished), "--out", str(tmp_path), *options)
    assert path.name == "explorer_directions_1-2_seeds_1-2_frames_3.html"
    data = page_data(path)
    assert [(each["index"], each["name"], each["starred"]) for each in data["directions"]] == [
        (1, "Smile <b>", True),
        (2, "Direction 2", False),
    ]
    assert data["seeds"] == ["seed 1", "seed 2"]
    assert data["held"]["numMixed"] == 2


def test_mixes_are_as_many_as_asked_for(finished: Path, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    options = ["--format", "html", "--frames", "3", "--seeds", "1", "--out", str(tmp_path), "--mix"]
    for asked, expected in (("0", 0), ("2", 2), ("8", 3)):  # each in a file of its own
        path = drawn(capsys, "traverse", "--directions", str(finished), *options, asked)
        assert page_data(path)["held"]["numMixed"] == expected
    assert run("traverse", "--directions", str(finished), *options, "9") == 2
    assert "--mix is 9" in capsys.readouterr().err


def test_a_run_that_cannot_be_continued_is_refused_before_anything_is_timed(
    checkpoint: Path, finished: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_arguments: object) -> None:
        raise AssertionError("timed")

    monkeypatch.setattr("stylegan2.runs.plan.measure_pace", never)
    command = ["discover", "--ckpt", str(checkpoint), "--out", str(finished), *FAST]
    assert run(*command, "--num-directions", "2") == 1
    assert "search.num_directions was 3, is now 2" in capsys.readouterr().err
    assert run(*command, "--num-directions", "2", "--dry-run") == 0
    assert "plan: not timed (" in (shown := capsys.readouterr().err)
    assert "search.num_directions was 3, is now 2" in shown
    assert run("discover", "--ckpt", str(checkpoint), "--num-directions", "9") == 2
    assert capsys.readouterr().err == "error: --num-directions is 9, allowed are 1 to 8 in this space\n"


def test_names_given_to_discover_stay_with_the_run(checkpoint: Path, finished: Path, names: Path) -> None:
    command = ["discover", "--ckpt", str(checkpoint), "--out", str(finished), "--num-directions", "3", *FAST]
    try:
        assert run(*command, "--names", str(names)) == 0
        assert read_names(finished / "names.json") == read_names(names)
        assert run(*command) == 0
        assert page_data(finished / "explorer.html")["directions"][1]["name"] == "Smile <b>"
    finally:
        (finished / "names.json").unlink()


@pytest.mark.parametrize("command", ["traverse", "discover"])
def test_names_of_other_directions_are_refused(
    checkpoint: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture, command: str
) -> None:
    other = write_names(tmp_path / "other.json", {0: DirectionName(name="a")}, source="0123")
    where = ["--directions", str(finished)] if command == "traverse" else ["--out", str(finished)]
    base = [] if command == "traverse" else ["--ckpt", str(checkpoint), "--num-directions", "3", *FAST]
    assert run(command, *where, *base, "--names", str(other)) == 2
    assert "saved for other directions" in capsys.readouterr().err
    assert not (finished / "names.json").exists()


def test_large_images_get_no_mixes_by_themselves_and_small_ones_do() -> None:
    options = PictureSettings()
    assert num_mixed(options, 10, 1024) == 0
    assert num_mixed(options, 10, 64) == num_mixed(options, 10, 16) == 5
    assert num_mixed(options, 2, 64) == 2
    assert num_mixed(PictureSettings(num_mixed=3), 10, 1024) == 3


def test_a_picture_is_not_replaced_unasked_and_another_has_another_name(
    finished: Path, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    command = ["traverse", "--directions", str(finished), "--direction", "1", "--seeds", "1,4", "--out", str(tmp_path)]
    path = drawn(capsys, *command, "--frames", "3")
    assert path.name == "direction_01_seeds_1,4_frames_3.png"
    content = path.read_bytes()
    assert run(*command, "--frames", "3") == 1
    assert "would be replaced; give --force, or another --out" in capsys.readouterr().err
    assert (
        drawn(capsys, *command, "--frames", "3", "--extent", "1").name == "direction_01_seeds_1,4_extent_1_frames_3.png"
    )
    assert path.read_bytes() == content
    assert drawn(capsys, *command, "--frames", "3", "--force") == path


def test_many_scattered_seeds_give_a_short_name_of_their_own(
    finished: Path, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    command = ["traverse", "--directions", str(finished), "--direction", "1", "--frames", "3", "--out", str(tmp_path)]
    odd = [",".join(map(str, range(1, last, 2))) for last in (201, 203)]
    names = [drawn(capsys, *command, "--seeds", seeds).name for seeds in odd]
    assert len(set(names)) == 2
    assert all(len(name) < 200 for name in names)


def test_a_walk_of_some_layers_says_which_and_has_no_scores_of_another_one(
    finished: Path, capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn_lines: list[str] = []

    def draw_direction(
        frames: object, label: DirectionLabel, *_more: object, subtitle: str, **_options: object
    ) -> Image.Image:
        drawn_lines.append(f"{subtitle} {dict(label.scores)}")
        return Image.new("RGB", (2, 2))

    monkeypatch.setattr("ganspace_topdis.traversal.gallery.draw_direction", draw_direction)
    options = ["--directions", str(finished), "--frames", "3", "--seeds", "1", "--direction", "1"]
    drawn(capsys, "traverse", *options, "--out", str(tmp_path / "all"))
    drawn(capsys, "traverse", *options, "--layers", "2-3", "--out", str(tmp_path / "some"))
    assert "layers" not in drawn_lines[0]
    assert "score" in drawn_lines[0]
    unit = Directions.load(finished).columns["unit"][1]
    assert drawn_lines[1].endswith(f"layers 2-3 move {{'unit': {unit}}}")
    page = drawn(capsys, "traverse", *options, "--layers", "2-3", "--format", "html", "--out", str(tmp_path / "some"))
    assert "; layers 2-3 move" in page.read_text(encoding="utf-8")
    assert [name for name, *_ in page_data(page)["directions"][0]["scores"]] == ["Unit"]
    assert page_data(page)["unit"] == ""


@pytest.mark.parametrize(("units", "end"), [(None, "+3 σ"), ((0.2, 1.0, 2.0), "+3")])
@pytest.mark.parametrize("ending", ["png", "webp"])
def test_a_walk_of_some_layers_has_the_unit_of_its_directions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, units: tuple[float, ...] | None, end: str, ending: str
) -> None:
    ckpt, _, _ = write_found(tmp_path, units=units)
    written: list[str] = []
    for module in ("grid", "animation"):
        monkeypatch.setattr(
            f"ganspace_topdis.traversal.{module}.draw_text", lambda draw, x, y, line, *more: written.append(line)
        )
    options = ["--ckpt", str(ckpt), "--layers", "2-3", "--frames", "3", "--seeds", "1", "--format", ending]
    assert run("traverse", "--directions", str(tmp_path), "--out", str(tmp_path / "out"), *options) == 0
    assert {line for line in written if line.startswith("+")} == {end}


def test_mixes_are_refused_for_pictures_which_ignore_them(finished: Path, capsys: pytest.CaptureFixture) -> None:
    assert run("traverse", "--directions", str(finished), "--mix", "2") == 2
    assert "--mix is not used by --format png" in capsys.readouterr().err
