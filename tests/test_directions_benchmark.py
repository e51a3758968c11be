import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import direction_scores  # noqa: E402
import directions  # noqa: E402
from direction_rungs import HandBuilt  # noqa: E402

from ganspace_topdis.latent.directions import Directions  # noqa: E402

CHEAP = ["hand-built", "--methods", "random,topdis,sefa", "--seeds", "0-1", "--steps", "1"]


def test_a_cell_is_measured_once_and_read_from_then_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [*CHEAP, "--cells", str(tmp_path)]
    directions.main(options)
    first = capsys.readouterr()
    assert len(first.err.splitlines()) == len(list(tmp_path.glob("*.json"))) == 4
    assert all(Directions.load(path.with_suffix(".safetensors")) for path in tmp_path.glob("*.json"))
    directions.main(options)
    second = capsys.readouterr()
    assert second.err == ""
    assert second.out == first.out
    assert "| random |" in first.out


def test_the_table_says_what_was_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = directions.path_of(tmp_path, HandBuilt(), "random", 1, 1)
    path.write_text(json.dumps({"cos": 0.5}))
    directions.main([*CHEAP, "--cells", str(tmp_path), "--table"])
    assert capsys.readouterr().out.splitlines()[2:] == ["| random | **0.500 (1)** |  |"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_cell_agrees_with_the_other_seeds_whose_directions_were_kept(tmp_path: Path) -> None:
    directions.main(["hand-built", "--methods", "axes", "--seeds", "0-1", "--cells", str(tmp_path)])
    rung, options = HandBuilt(), directions.arguments(["--seeds", "0-2", "--cells", str(tmp_path)])
    for seed in (0, 1):
        path = directions.path_of(tmp_path, rung, "axes", seed, rung.steps)
        direction_scores.scores_of(path).write_text(json.dumps({"rtd": 2.0, "effect": 0.5}))
    first, second = direction_scores.measured(options, rung, "axes")
    assert first["agreement"] == pytest.approx(1.0)  # the axes are the same whatever the seed
    assert first["ratio"] == 0.25
    assert first["cos"] != second["cos"]
    assert direction_scores.measured(options, rung, "random") == []


def test_all_rungs_are_taken_and_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert directions.arguments([]).rungs == list(directions.RUNGS)
    for wrong in (["hand-made"], ["scenes", "--methods", "topdis,sofa"]):
        with pytest.raises(SystemExit):
            directions.arguments(wrong)
        assert wrong[-1].split(",")[-1] in capsys.readouterr().err


def test_the_best_method_is_bold_and_the_oracle_is_none() -> None:
    cells = {"sefa": [{"share": 0.3}, {"share": 0.4}], "topdis": [{"share": 0.6}], "oracle": [{"share": 0.9}]}
    rows = directions.table({"scenes": cells}, 2).splitlines()[2:]
    assert [row.split(" | ")[1] for row in rows] == ["0.350 ± 0.071", "**0.600 (1)**", "0.900 (1)"]


def test_the_seed_turns_the_hand_built_truth() -> None:
    rung = HandBuilt()
    found = rung.find("axes", 3, 0)
    assert rung.judge(found, 3) != rung.judge(found, 4)
    assert 0 < rung.judge(found, 3)["worst cos"] < rung.judge(found, 3)["cos"] < 1
