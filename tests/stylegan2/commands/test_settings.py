"""Seeds and layers as people type them, the texts beside pictures, and which checkpoints have known factors."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.outputs import OutputSettings, remove_earlier
from ganspace_topdis.traversal.names import DirectionName
from stylegan2 import Generator, save
from stylegan2.commands import score
from stylegan2.commands.discover import directions_text
from stylegan2.loading import factor_network_for, known_data
from stylegan2.runs.pictures import labels_of, page_text, shown_run, summary
from stylegan2.settings import (
    PictureSettings,
    parse_layers,
    parse_numbers,
    written_short,
)
from stylegan2.zoo import ASSETS, locate
from tests.stylegan2.commands.found_directions import write_found


def test_ranges_that_overlap_name_each_layer_once():
    assert parse_layers("2-5, 0-3,coarse", 8) == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize("text", [None, "all", " all "])
def test_all_layers_are_none_in_particular(text):
    assert parse_layers(text, 8) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4-2", "`layers` is '4-2', a descending range; give 2-4"),
        ("0-99", "`layers` is '0-99', but layers 8 to 99 do not exist: this generator has layers 0 to 7"),
        ("0,8", "`layers` is '0,8', but layer 8 does not exist"),
        ("nose", "`layers` is 'nose'; give numbers and ranges such as 1-8,12, or coarse, middle, fine"),
        ("", "`layers` is ''; give numbers"),
        ("fine", "`layers` 'fine' names no layer"),
        ("0-20000", "`layers` is '0-20000'; a range has at most"),
    ],
)
def test_layers_that_cannot_be_are_refused_with_what_can(text, message):
    with pytest.raises(InvalidArgumentError, match=re.escape(message)):
        parse_layers(text, 8)


def test_numbers_that_are_no_layers_hear_nothing_of_names_of_layers():
    with pytest.raises(InvalidArgumentError, match=r"`seeds` is 'x'; give numbers and ranges such as 1-8,12$"):
        parse_numbers("x", "seeds")


@pytest.mark.parametrize("numbers", [(0,), (0, 2), (3, 4), (0, 1, 2, 3, 6, 8, 9)])
def test_numbers_written_short_are_read_as_the_same(numbers):
    assert parse_numbers(written_short(numbers), "layers") == numbers


@pytest.mark.parametrize(
    ("space", "subtitle"),
    [
        ({}, "space W; truncation 0.5"),
        ({"layers": (0, 1, 2, 4)}, "space W; layers 0-2,4; truncation 0.5"),
        ({"name": "z"}, "space Z; truncation 0.5"),
    ],
)
def test_a_page_says_where_its_directions_were_found(tmp_path: Path, space: dict[str, object], subtitle: str):
    directions = write_found(tmp_path, **space)[2]
    text = page_text(directions, PictureSettings(truncation_psi=0.5), tmp_path)
    sha256 = directions.metadata["checkpoint_sha256"]
    assert text.subtitle == f"run {tmp_path.name}; checkpoint {sha256[:12]}; {subtitle}"


def test_a_page_names_method_run_and_checkpoint_and_the_command_for_its_images(tmp_path: Path):
    directions = write_found(tmp_path)[2]
    directions.metadata["method"] = "sefa"
    write_json(tmp_path / "config.json", {"command": "discover", "config": {"ckpt": "nets/ffhq.pkl"}})
    text = page_text(directions, PictureSettings(), tmp_path, edit={"--layers": "0-3"})
    assert text.title == "Directions found by sefa"
    assert text.origin == f"sefa  ·  run {tmp_path.name}  ·  checkpoint ffhq.pkl"
    assert text.command == f"topdis-gan edit --directions {tmp_path.name} --truncation-psi 0.7 --layers 0-3"
    assert text.command_note == f"run it in the folder that holds {tmp_path.name}, or put the run's path there"
    assert page_text(directions, PictureSettings(truncation_cutoff=2), tmp_path).command == ""


def test_the_score_that_ranks_is_shown_and_a_weak_match_is_a_question(tmp_path: Path):
    directions = write_found(tmp_path)[2]
    shares, factors = [0.6, 0.2, None], ["object_hue", "size", None]
    directions.metadata.update(rank=[2, 1, 3], score=[0.3, 0.4, 0.1], share=shares, factor=factors)
    labels = labels_of(directions)
    assert [label.heading for label in labels] == ["Direction 0 (object hue)", "Direction 1 (size?)", "Direction 2"]
    assert [dict(list(label.scores.items())[:2]) for label in labels[:2]] == [
        {"rank": 2, "score": 0.3},
        {"rank": 1, "score": 0.4},
    ]
    table = directions_text(directions.score_table())
    assert [line.split()[0] for line in table.splitlines()[1:]] == ["1", "0", "2"]
    assert max(map(len, table.splitlines())) <= 80
    assert "size?" in table


def test_the_table_says_what_its_intervals_are_where_it_has_some(tmp_path: Path):
    directions = write_found(tmp_path)[2]
    directions.metadata.update(effect=[0.5, 0.2, 0.3], better_than_chance=[True, True, True])
    assert "In parentheses" not in directions_text(directions.score_table())
    directions.metadata.update(effect_low=[0.4, 0.1, 0.2], effect_high=[0.6, 0.4, 0.45])
    table = directions_text(directions.score_table())
    assert "0.5 (0.4 to 0.6)" in table
    assert "In parentheses: 95 % intervals, by Student's t over clouds of codes." in " ".join(table.split())
    assert "no better" not in table


def test_marks_stand_beside_any_name_and_are_those_of_the_last_scores(tmp_path: Path):
    directions = write_found(tmp_path)[2]
    names = {
        0: DirectionName(name="Direction 0 (size?, chance level)", starred=True),  # as earlier pages saved it
        1: DirectionName(name="Smile"),
        2: DirectionName(name="Direction 2 (mine)"),
    }
    directions.metadata.update(factor=["shape", "size", None], share=[0.6, 0.2, None])
    directions.metadata.update(better_than_chance=[True, False, False])
    labels = labels_of(directions, names)
    assert [label.heading for label in labels] == [
        "Direction 0 (shape)",
        "Smile (size?, chance level)",
        "Direction 2 (mine) (chance level)",
    ]
    assert [label.starred for label in labels] == [True, False, False]


def test_earlier_results_are_kept_unless_replacing_them_is_asked_for(tmp_path: Path):
    for name in ("edited_00.png", "edited_01.png", "mine.png"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(RunFolderError, match=r"edited_00\.png and 1 more would be replaced; give `force`, or another"):
        OutputSettings().earlier(tmp_path, "edited_*.png")
    earlier = OutputSettings(force=True).earlier(tmp_path, "edited_*.png")
    assert len(list(tmp_path.iterdir())) == 3
    remove_earlier(earlier, [tmp_path / "edited_00.png"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edited_00.png", "mine.png"]
    remove_earlier(earlier, [])
    assert OutputSettings().earlier(tmp_path, "edited_*.png") == []


RESCORING = {"mean_share": 0.4751, "mean_spearman": 0.932, "off_target": [1.0, None, 2.0]}
SCORES: dict[str, Any] = {
    "protocol": {"mig": 0.1, "disentanglement": 0.2, "factor_vae_score": 0.3, "encoder_error": 0.4},
    "reconstructor": {"accuracy": 0.9, "chance": 0.25, "num_pairs": 400},
    "noise_floor": {"scale": 0.009},
    "rescoring": RESCORING,
}


def test_every_score_has_a_line_in_a_fixed_order() -> None:
    assert list(summary(SCORES)) == ["mean over factors", "noise floor", "reconstructor", "encoder protocol"]


def test_what_score_prints_fits_eighty_columns() -> None:
    floor = {f"factor_{number}": 0.123 for number in range(9)}
    record = {"directions": [{"index": 0}], "scores": {**SCORES, "noise_floor": floor}, "files": ["run/scores.json"]}
    lines = score.to_text(record, score.Options(run=Path("run"))).splitlines()
    assert max(map(len, lines)) <= 80
    assert "factor_8 0.123" in " ".join(lines)
    assert lines[-1] == "run/scores.json"


def test_means_leave_factors_without_a_direction_out_of_the_ratio() -> None:
    assert summary(SCORES)["mean over factors"] == "share 0.475, Spearman 0.932, off over on target 1.50"
    nothing = {**RESCORING, "off_target": [None]}
    assert "target" not in summary({"rescoring": nothing})["mean over factors"]


def test_further_metrics_of_the_protocol_stand_on_its_line_by_name() -> None:
    scores = {**SCORES["protocol"], "completeness": 0.5, "mcc_pearson": 0.75}
    line = "MIG 0.100, DCI 0.200, FactorVAE score 0.300, Mcc pearson 0.750, encoder error 0.400"
    assert summary({"protocol": scores}) == {"encoder protocol": line}


def test_no_scores_no_lines() -> None:
    assert summary({}) == {}


SOURCE = {"data": "scenes of continuous factors (vae.data.scenes)"}


def small(path: Path, side: int, source: dict[str, str]) -> Path:
    generator = Generator(z_dim=4, w_dim=4, img_resolution=side, num_mapping_layers=1, channel_base=64)
    return save(generator.eval(), path, source=source)


@pytest.mark.parametrize("name", ["scenes", "pebbles"])
def test_the_data_of_a_packaged_generator_is_known(name: str) -> None:
    assert known_data(locate(name)) == name
    assert factor_network_for(locate(name), given=None, wanted=None) == ASSETS / f"{name}_factors.safetensors"


@pytest.mark.parametrize(
    ("side", "source", "known"), [(32, SOURCE, "scenes"), (64, SOURCE, "scenes"), (16, SOURCE, None), (32, {}, None)]
)
def test_a_generator_of_ours_is_known_by_its_data_and_side(
    tmp_path: Path, side: int, source: dict[str, str], known: str | None
) -> None:
    assert known_data(small(tmp_path / "g.safetensors", side, source)) == known


@pytest.mark.parametrize("name", ["broken.safetensors", "weights.pkl"])
def test_any_other_file_has_no_known_factors(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    torch.save({"x": torch.zeros(2)}, path)
    assert known_data(path) is None
    assert factor_network_for(path, given=None, wanted=None) is None
    assert factor_network_for(path, given=Path("mine"), wanted=None) == Path("mine")


def test_truth_that_is_not_known_says_what_would_work(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="`factor_network`"):
        factor_network_for(tmp_path / "other.pkl", given=None, wanted=True)
    with pytest.raises(InvalidArgumentError, match="leave one of them out"):
        factor_network_for(tmp_path / "other.pkl", given=Path("mine"), wanted=False)


def test_a_page_shows_the_path_of_its_run_as_a_reader_can_use_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "v1.2"
    run.mkdir(parents=True)
    assert shown_run(Path("runs/v1.2")) == "runs/v1.2"
    assert shown_run(run) == "runs/v1.2", "below the working directory"
    assert shown_run(run / "directions.safetensors") == "runs/v1.2/directions.safetensors"
    monkeypatch.chdir(run)
    assert shown_run(tmp_path / "runs") == "runs", "a path from the root means nothing to others"
