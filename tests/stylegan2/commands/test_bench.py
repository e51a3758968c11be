"""`topdis-gan bench directions`: functions and files are scored beside the recorded methods, or refused in one line."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import stylegan2.bench.rungs
from ganspace_topdis.evaluation.matching import recovery
from ganspace_topdis.generators import HandBuiltGenerator
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.files import sha256_of
from stylegan2.bench.methods import Cell, bench_function, cells_csv, load_function, recorded, tables
from stylegan2.bench.rungs import RUNGS, HandBuilt, Network, rung_named
from stylegan2.commands import bench
from stylegan2.runs.search import carried_over
from stylegan2.zoo import locate
from tests.stylegan2.commands.found_directions import main as run

METHOD = """
import torch

def find(space, num_directions, seed):
    codes = space.sample_codes(1000, torch.Generator().manual_seed(seed))
    assert space.generate(codes[:2]).shape[0] == space.images(codes[:2]).shape[0] == 2
    return 3 * torch.linalg.svd(codes - codes.mean(0), full_matrices=False)[2][:num_directions].numpy()

def too_many(space, num_directions, seed):
    return torch.eye(space.code_dim).repeat(2, 1)

def narrow(space, num_directions, seed):
    return torch.eye(3)

def nan(space, num_directions, seed):
    return torch.full((2, space.code_dim), torch.nan)

def text(space, num_directions, seed):
    return "directions"

def fails(space, num_directions, seed):
    raise KeyError("no such layer")

def leaves(space, num_directions, seed):
    raise SystemExit(7)

def is_stopped(space, num_directions, seed):
    raise KeyboardInterrupt

def complex_vectors(space, num_directions, seed):
    return torch.eye(space.code_dim) * (1 + 1j)

number = 3
"""


@pytest.fixture(scope="module", autouse=True)
def few_codes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, count in (("_NUM_CODES", 8), ("_NUM_TRUTH_CODES", 200), ("_NUM_SPAN_CODES", 500)):
            patch.setattr(stylegan2.bench.rungs, name, count)
        yield


@pytest.fixture
def method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "anyones.py").write_text(METHOD)
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield "anyones"
    sys.modules.pop("anyones", None)
    sys.path[:] = path


def directions(width: int, **metadata: Any) -> Directions:
    vectors = torch.eye(width)[:2]
    return Directions(
        vectors=vectors,
        dual_vectors=vectors,
        mean=torch.zeros(width),
        span=vectors,
        scales=torch.ones(2),
        metadata=metadata,
    )


def test_a_function_is_scored_on_every_seed_beside_the_recorded_methods(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["bench", "directions", f"{method}:find", "--rungs", "hand-built", "--seeds", "0-1"]
    assert run(*arguments, "--name", "svd", "--out", "svd.csv") == 0
    printed = capsys.readouterr().out
    assert "svd *" in printed
    assert "* scored now." in printed.splitlines()
    assert "rung hand-built" in printed
    rows = list(csv.DictReader((tmp_path / "svd.csv").read_text().splitlines()))
    assert [(row["rung"], row["method"], row["seed"]) for row in rows] == [("hand-built", "svd", s) for s in "01"]
    assert 0 < float(rows[0]["worst_cos"]) < float(rows[0]["cos"]) < 1
    assert run(*arguments, "--out", "svd.csv") == 1
    assert "--force" in capsys.readouterr().err


def test_a_network_rung_reads_what_the_directions_of_a_function_change(
    method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("bench", "directions", f"{method}:find", "--rungs", "fitted", "--seeds", "3", "--json") == 0
    (cell,) = json.loads(capsys.readouterr().out)["cells"]
    assert set(cell["scores"]) == {"share", "own_change", "weakest_change", "spearman", "truth", "seconds"}
    assert 0.1 < cell["scores"]["share"] < 0.8
    assert cell["seed"] == 3


def test_a_method_agrees_between_seeds_where_the_generator_stays_the_same(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--rungs", "hand-built,fitted", "--seeds", "0-1", "--json"]
    assert run("bench", "directions", f"{method}:find", *arguments) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    of_rung = {name: [cell["scores"] for cell in cells if cell["rung"] == name] for name in ("hand-built", "fitted")}
    assert all("agreement" not in scores for scores in of_rung["hand-built"])
    first, second = (scores["agreement"] for scores in of_rung["fitted"])
    assert first == pytest.approx(second)
    assert 0.1 < first < 1
    sha256 = sha256_of(locate("scenes"))
    files = [directions(64, checkpoint_sha256=sha256).save(tmp_path / f"{name}.safetensors") for name in "ab"]
    assert run("bench", "directions", *map(str, files), "--name", "both", "--json") == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [(cell["seed"], cell["scores"]["agreement"]) for cell in cells] == [(0, 1), (1, 1)]
    assert run("bench", "directions", *map(str, files), "--json") == 0
    assert all("agreement" not in cell["scores"] for cell in json.loads(capsys.readouterr().out)["cells"])


def test_a_file_is_scored_on_the_rungs_of_its_generator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = directions(64, checkpoint_sha256=sha256_of(locate("scenes"))).save(tmp_path / "mine.safetensors")
    assert run("bench", "directions", str(path), "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert [(cell["rung"], cell["method"]) for cell in record["cells"]] == [("scenes", "mine")]
    assert {cell["rung"] for cell in record["recorded"]} <= {"scenes"}
    assert run("bench", "directions", str(path), "--rungs", "fitted") == 1
    assert "does not belong to rung fitted" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["w+", "s"])
def test_directions_of_every_layer_and_of_channels_are_scored_too(name: str) -> None:
    rung = rung_named("scenes")
    assert isinstance(rung, Network)
    space = rung.space_named(name)
    in_w = rung.directions_of(torch.randn(2, 64, generator=torch.Generator().manual_seed(0)), 0)
    same = rung.directions_of(carried_over(in_w, space).vectors, 0)
    assert same.code_dim == space.code_dim == {"w+": 8 * 64, "s": 640}[name]
    expected, found = rung.rescore(in_w, 0), rung.rescore(same, 0)
    assert found.mean_share == pytest.approx(expected.mean_share, abs=0.02)
    assert found.own_change == pytest.approx(expected.own_change, abs=0.1)


def test_a_method_can_use_the_wider_spaces_of_a_network_and_has_its_truth_there() -> None:
    rung = rung_named("fitted")
    assert isinstance(rung, Network)
    space = rung.space(0)
    codes = space.sample_codes(2, torch.Generator().manual_seed(0))
    for name in ("w+", "s"):
        wide = space.wider[name]
        assert wide.code_dim in rung.widths
        same = wide.sample_codes(2, torch.Generator().manual_seed(0))
        assert torch.allclose(wide.images(same), space.images(codes), atol=1e-4)
        assert torch.allclose(wide.generate(same), space.generate(codes), atol=1e-4)
        in_w = rung.directions_of(torch.eye(64)[:2], 0)
        vectors = carried_over(in_w, rung.spaces[wide.code_dim]).vectors
        truth = rung.score(rung.directions_of(vectors, 0), 0)["truth"]
        assert truth == pytest.approx(rung.score(in_w, 0)["truth"], abs=0.01)
    assert HandBuilt().space(0).wider == {}


def test_the_length_of_a_vector_does_not_matter_and_directions_are_one_standard_deviation_long() -> None:
    rung = HandBuilt()
    true = HandBuiltGenerator(seed=2).true_directions
    assert rung.score(rung.directions_of(100 * true, 2), 2)["worst_cos"] > 0.99
    found = rung.directions_of(torch.tensor([0.1, 1, 2, 3, 4, 5])[:, None] * true, 2).vectors
    assert found.norm(dim=1).tolist() == pytest.approx([1.0] * 6, rel=0.15)
    assert recovery(found, true).worst > 0.99


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{method}:find", "--rungs", "hand-made"], "allowed are hand-built, fitted, scenes, scenes-64, pebbles"),
        (["{method}:nothing"], "has no function nothing"),
        (["{method}:number"], "has no function number"),
        (["no_such_module:find"], "cannot import no_such_module"),
        (["nothing"], "neither a file of directions nor a function"),
        (["missing.safetensors"], "missing.safetensors"),
        (["{method}:too_many", "--rungs", "hand-built"], "(12, 6) do not fit rung hand-built"),
        (["{method}:narrow", "--rungs", "hand-built"], "(3, 3) do not fit rung hand-built; it takes (K, 6)"),
        (["{method}:nan", "--rungs", "hand-built"], "NaN"),
        (["{method}:text", "--rungs", "hand-built"], "returned str"),
        (["{method}:fails", "--rungs", "hand-built"], "KeyError: 'no such layer' (anyones.py, line"),
        (["{method}:leaves", "--rungs", "hand-built"], "leaves failed on rung hand-built, seed 0: SystemExit: 7 ("),
        (["{method}:complex_vectors", "--rungs", "hand-built"], "returned complex vectors on rung hand-built; return"),
        (["leaving:find"], "cannot import leaving (SystemExit: 7)"),
        (["{method}:find", "{method}:nan"], "one function, or files only"),
        (["missing.safetensors", "--seeds", "0-1"], "--seeds are those that a function is called with; leave them out"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_line(
    method: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("leaving.py").write_text("raise SystemExit(7)")
    assert run("bench", "directions", *(each.format(method=method) for each in arguments)) in (1, 2)
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


def test_a_stop_within_a_function_is_no_failure_of_it(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(".")
    with pytest.raises(KeyboardInterrupt):
        next(bench_function(load_function(f"{method}:is_stopped"), "is_stopped", ["hand-built"], [0]))


def test_files_do_not_fit_the_hand_built_rung_whose_generator_depends_on_the_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = directions(6).save(tmp_path / "six.safetensors")
    assert run("bench", "directions", str(path), "--rungs", "hand-built") == 2
    error = capsys.readouterr().err.strip()
    assert "--rungs has hand-built, whose generator depends on the seed" in error
    assert "give a function as module:function" in error
    assert "\n" not in error
    assert run("bench", "directions", str(path)) == 1
    assert "does not belong to any rung" in capsys.readouterr().err


def test_directions_of_another_generator_fit_no_rung(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = directions(64, checkpoint_sha256="0" * 64).save(tmp_path / "other.safetensors")
    assert run("bench", "directions", str(path)) == 1
    assert "another generator" in capsys.readouterr().err


def test_directions_of_chosen_layers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"checkpoint_sha256": sha256_of(locate("scenes")), "layers": [0, 1]}
    path = directions(64, **facts).save(tmp_path / "mine.safetensors")
    assert run("bench", "directions", str(path)) == 1
    assert "holds directions of chosen layers" in capsys.readouterr().err


def test_a_method_has_no_name_of_a_recorded_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = directions(64, checkpoint_sha256=sha256_of(locate("scenes"))).save(tmp_path / "topdis.safetensors")
    assert run("bench", "directions", str(path)) == 2
    assert "a recorded method is named topdis; give another --name" in capsys.readouterr().err
    assert run("bench", "directions", str(path), "--name", "hessian") == 2
    assert run("bench", "directions", str(path), "--name", "mine", "--json") == 0
    assert json.loads(capsys.readouterr().out)["cells"][0]["method"] == "mine"


def test_the_recorded_methods_are_listed_without_a_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bench", "directions") == 0
    printed = capsys.readouterr().out
    assert {cell.rung for cell in recorded()} == set(RUNGS)
    assert all(f"rung {name}" in printed for name in RUNGS)
    assert "topdis" in printed
    assert printed.splitlines()[-1] == "The oracle and the ceilings, last in a table, have seen the factors."


def test_differences_to_a_method_are_paired_by_seed_and_have_an_interval_from_five_pairs_on() -> None:
    def cells(method: str, shares: dict[int, float]) -> list[Cell]:
        return [Cell(rung="scenes", method=method, seed=seed, scores={"share": s}) for seed, s in shares.items()]

    base = {0: 0.5, 1: 0.6, 2: 0.7, 3: 0.8, 4: 0.9, 5: 0.1}
    higher = {seed: value + 0.1 + 0.01 * (-1) ** seed for seed, value in base.items() if seed < 5}
    few = {seed: base[seed] - 0.2 for seed in (1, 3)} | {9: 0.99}
    (table,) = tables([*cells("base", base), *cells("higher", higher), *cells("few", few)], baseline="base")
    assert table.header[:4] == ("method", "seeds", "share", "share - base")
    shown = {row[0]: row[3] for row in table.rows}
    # by hand: differences .11 .09 .11 .09 .11, mean .102, std .01095, t(4) = 2.7764
    assert shown == {"base": "", "higher": "+0.102 (0.088 to 0.116)", "few": "-0.200"}
    (table,) = tables(cells("alone", {7: 0.5}) + cells("base", base), baseline="base")
    assert {row[0]: row[3] for row in table.rows} == {"alone": "", "base": ""}
    (table,) = tables(cells("alone", {7: 0.5}), baseline="base")
    assert table.header == ("method", "seeds", "share")


def test_an_unknown_method_to_compare_with_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bench", "directions", "--baseline", "topdi") != 0
    error = capsys.readouterr().err
    assert "--baseline is 'topdi', allowed are axes, " in error
    assert "did you mean 'topdis'?" in error
    assert run("bench", "directions", "--rungs", "pebbles", "--baseline", "hessian") == 0
    assert "share - hessian" in capsys.readouterr().out
    assert run("bench", "directions", "--rungs", "pebbles,fitted", "--baseline", "sparsity") == 0
    printed = capsys.readouterr().out.splitlines()
    assert "Differences to sparsity: means over equal seeds, with the 95 % interval of five or more." in printed
    assert "sparsity was not run on fitted, so nothing is compared there." in printed


def test_cells_survive_the_csv_and_the_best_method_comes_first() -> None:
    cells = [
        Cell(rung="scenes", method=name, seed=seed, scores={"share": share + 0.01 * seed})
        for name, share in (("low", 0.2), ("ceiling-w", 0.6), ("high", 0.5))
        for seed in (0, 1)
    ]
    (table,) = tables(cells, ["low"])
    assert [row[0] for row in table.rows] == ["high", "low *", "ceiling-w"]
    assert table.rows[0][2] == "0.505 ± 0.007"
    read = list(csv.DictReader(cells_csv(cells).splitlines()))
    assert [float(row["share"]) for row in read] == pytest.approx([cell.scores["share"] for cell in cells])


def test_the_command_knows_the_rungs_without_loading_torch() -> None:
    assert bench._RUNGS == RUNGS
