"""The scripts of benchmarks/ that print tables of directions and train the packaged generators."""

import dataclasses
import itertools
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import direction_ceiling  # noqa: E402
import direction_layers  # noqa: E402
import direction_orders  # noqa: E402
import direction_scores  # noqa: E402
import direction_terms  # noqa: E402
import direction_units  # noqa: E402
import directions  # noqa: E402
import export_scenes  # noqa: E402
import scenes_quality  # noqa: E402
import scenes_training  # noqa: E402
import train_scenes_factors  # noqa: E402
import train_scenes_fitted  # noqa: E402
import train_scenes_gan  # noqa: E402

import stylegan2  # noqa: E402
from ganspace_topdis.discovery import Discovery, DiscoverySettings  # noqa: E402
from ganspace_topdis.discovery.held_out import HeldOutScores  # noqa: E402
from ganspace_topdis.discovery.settings import CLOSED_FORMS, SEARCH_METHODS  # noqa: E402
from ganspace_topdis.evaluation.factor_network import FactorNetwork, Readings, read_logits  # noqa: E402
from ganspace_topdis.factors import Factor  # noqa: E402
from ganspace_topdis.generators import HandBuiltGenerator  # noqa: E402
from ganspace_topdis.latent.directions import Directions  # noqa: E402
from stylegan2.bench.methods import Cell, recorded  # noqa: E402
from stylegan2.bench.rungs import HandBuilt, Network, rung_named  # noqa: E402
from stylegan2.space import LatentSpace  # noqa: E402
from vae.data.scenes_torch import CodeToFactors, SceneTable, to_index_units  # noqa: E402

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


def test_the_table_shows_which_cells_were_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [*CHEAP, "--cells", str(tmp_path)]
    path = directions.path_of(tmp_path, HandBuilt(), "random", 1)
    directions.find_hand_built("random", 1, 1).save(path.with_suffix(".safetensors"))
    path.write_text(json.dumps({"rung": "hand-built", "method": "random", "seed": 1, "scores": {"cos": 0.5}}))
    directions.main([*options, "--table"])
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| method | abs cos |",
        "|---|---|",
        "| random | **0.500 (1)** |",
    ]
    assert {*tmp_path.iterdir()} == {path, path.with_suffix(".safetensors")}


def test_a_cell_agrees_with_the_other_seeds_whose_directions_were_kept(tmp_path: Path) -> None:
    rung, options = rung_named("scenes"), directions.arguments(["--seeds", "0-2", "--cells", str(tmp_path)])
    eye = torch.eye(6)
    for seed, rows in enumerate((eye, eye.flip(0))):
        path = directions.path_of(tmp_path, rung, "axes", seed)
        found = Directions(vectors=rows, dual_vectors=rows, mean=torch.zeros(6), span=eye, scales=torch.ones(6))
        found.save(path.with_suffix(".safetensors"))
        path.write_text(json.dumps({"scores": {"share": 0.5 + seed}}))
        direction_scores.scores_of(path).write_text(json.dumps({"rtd": 2.0, "effect": 0.5}))
    first, second = direction_scores.measured(options, rung, "axes")
    assert first == pytest.approx({"share": 0.5, "rtd": 2.0, "effect": 0.5, "agreement": 1.0})
    assert second["share"] == 1.5
    assert direction_scores.measured(options, rung, "random") == []


def test_all_rungs_are_taken_and_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert directions.arguments([]).rungs == list(directions.RUNGS)
    for wrong in (["hand-made"], ["scenes", "--methods", "topdis,sofa"]):
        with pytest.raises(SystemExit):
            directions.arguments(wrong)
        assert wrong[-1].split(",")[-1] in capsys.readouterr().err


def test_the_best_method_is_bold_of_those_that_have_not_seen_the_truth() -> None:
    shares = {"sefa": (0.3, 0.4), "topdis": (0.6,), "oracle": (0.9,), "ceiling-w": (0.8,)}
    cells = [
        Cell(rung="scenes", method=method, seed=seed, scores={"share": share})
        for method, values in shares.items()
        for seed, share in enumerate(values)
    ]
    rows = directions.table(cells, 2).splitlines()[4:]
    assert [row.split(" | ")[1] for row in rows] == ["0.350 ± 0.071 |", "**0.600 (1)** |", "0.900 (1) |", "0.800 (1) |"]
    rows = directions.table(cells, 1).splitlines()[4:]
    assert [row.split(" | ")[1] for row in rows] == ["0.350 ± 0.071 (2) |", "**0.600** |", "0.900 |", "0.800 |"]


def test_the_seed_turns_the_hand_built_truth() -> None:
    rung = HandBuilt()
    found = directions.find_hand_built("axes", 3, 0)
    assert rung.score(found, 3) != rung.score(found, 4)
    assert 0 < rung.score(found, 3)["worst_cos"] < rung.score(found, 3)["cos"] < 1


def test_the_benchmark_has_every_method_of_discover() -> None:
    in_s = {f"{name}-s" for name in SEARCH_METHODS}
    assert {*directions.METHODS} == {*SEARCH_METHODS, *in_s, *CLOSED_FORMS, "oracle", *direction_ceiling.CEILINGS}


def test_recorded_cells_stay_beside_those_that_are_measured_and_give_way_to_the_same() -> None:
    def cell(method: str, seed: int, **scores: float) -> Cell:
        return Cell(rung="scenes", method=method, seed=seed, scores=scores)

    known = [cell("topdis", 1, share=0.5, agreement=0.9), cell("another's", 0, share=0.3), cell("oracle", 0, share=0.4)]
    found = directions.added([cell("topdis", 1, share=0.6), cell("topdis", 0, share=0.7, agreement=0.8)], known)
    assert found == [
        cell("topdis", 0, share=0.7, agreement=0.8),
        cell("topdis", 1, share=0.6, agreement=0.9),
        cell("oracle", 0, share=0.4),
        cell("another's", 0, share=0.3),
    ]
    assert directions.added([], recorded()) == recorded()


def test_a_search_in_s_finds_directions_of_channels() -> None:
    generator = stylegan2.Generator(z_dim=8, w_dim=8, img_resolution=16, num_mapping_layers=1, channel_base=64)
    spaces = {name: LatentSpace(generator=generator, resolution=8, name=name) for name in ("w", "s")}
    rung = SimpleNamespace(num_directions=2, latent_space=spaces["w"], space_named=spaces.__getitem__)
    for method, space in (("overlap", "w"), ("overlap-s", "s")):
        assert directions.find_in_network(rung, method, 0, 1).vectors.shape == (2, spaces[space].code_dim)
    assert not directions.takes(HandBuilt(), "overlap-s")


@pytest.mark.parametrize("method", ["overlap", "sparsity", "ica"])
def test_a_peer_finds_six_directions_of_the_hand_built_generator(method: str) -> None:
    found = directions.find_hand_built(method, 0, 1)
    assert found.vectors.shape == (6, 6)
    assert HandBuilt().score(found, 0)["worst_cos"] > 0


class SixLogits(torch.nn.Module):
    """Reads factor k from pixel k: the logits of two values, 0 and the pixel."""

    factors = tuple(Factor(f"factor {index}", 2) for index in range(6))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        pixels = images.flatten(1)[:, :6]
        return tuple(torch.stack([torch.zeros_like(pixel), 2 * pixel], dim=1) for pixel in pixels.unbind(1))

    def read(self, images: torch.Tensor) -> Readings:
        return read_logits(self.factors, self(images))


class LinearSpace:
    """Codes (N, 8) for one or two layers; six pixels are linear in the layers' mean, features an image rotated."""

    def __init__(self, name: str = "w") -> None:
        self.name, self.num_layers = name, 1 if name == "w" else 2
        rng = torch.Generator().manual_seed(7)
        self.true = torch.linalg.qr(torch.randn(8, 8, generator=rng))[0][:6]
        self.mixing = torch.linalg.qr(torch.randn(6, 6, generator=rng))[0] * torch.linspace(1, 2, 6)

    def sample_codes(self, num_codes: int, rng: torch.Generator) -> torch.Tensor:
        return torch.randn(num_codes, 8, generator=rng).repeat(1, self.num_layers)

    def images(self, codes: torch.Tensor) -> torch.Tensor:
        pixels = codes.view(len(codes), -1, 8).mean(1) @ self.true.T
        return pixels[:, :, None, None]

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        return self.images(codes).flatten(1) @ self.mixing


class LinearRung(Network):
    """A rung whose true directions are the rows of `LinearSpace.true`; wide codes are those of that space."""

    factor_network = SixLogits()
    name, num_directions, widths = "linear", 6, (8, 16)

    def __init__(self, wide: str) -> None:
        self.latent_space = LinearSpace()
        self.spaces = {8: self.latent_space, 16: LinearSpace(wide)}


@pytest.mark.parametrize("space", direction_ceiling.CEILINGS.values())
def test_with_the_truth_directions_of_every_space_come_to_change_one_factor(space: str) -> None:
    wide = space in ("w+", "s")
    rung = LinearRung(space if wide else "w+")
    ceiling = direction_ceiling.Ceiling(rung, space, seed=0, batch_size=16)
    start = ceiling.rescored()
    ceiling.optimize(60, 0.1)
    found = ceiling.rescored()
    assert start.mean_share < 0.6
    assert found.mean_share > start.mean_share + 0.15
    assert sorted(found.direction) == list(range(6))
    assert ceiling.vectors().shape == (6, 16 if wide else 8)
    lengths = ceiling.vectors().norm(dim=1)
    assert torch.allclose(lengths, torch.full((6,), 2**0.5 if wide else 1.0), rtol=0.05)


def small_rung(scored: list[Directions]) -> SimpleNamespace:
    """A rung of an untrained generator, whose scores count the sets of directions that it was asked about."""
    generator = stylegan2.Generator(z_dim=8, w_dim=8, img_resolution=16, num_mapping_layers=1, channel_base=64)
    in_w = LatentSpace(generator=generator, resolution=8)

    def score(found: Directions, seed: int) -> dict[str, float]:
        scored.append(found)
        return {"share": len(scored) / 10, "own_change": seed, "weakest_change": 0.25}

    return SimpleNamespace(
        name="small",
        num_directions=2,
        latent_space=in_w,
        space_named=lambda each: dataclasses.replace(in_w, name=each),
        score=score,
    )


@pytest.mark.parametrize("name", ["w+", "s"])
def test_a_row_of_the_whole_code_scores_its_start_what_is_kept_and_all(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direction_layers, "SPAN_STEPS", 2)
    scored: list[Directions] = []
    rung = small_rung(scored)
    space = rung.latent_space
    start = Discovery(space.features, space.sample_codes, DiscoverySettings(steps=0, num_directions=2)).directions()
    width = rung.space_named(name).code_dim
    for given in (start, None):
        scored.clear()
        row = dict(zip(direction_layers.TITLES, direction_layers.row(rung, name, given, 1, 2), strict=True))
        assert [row[each] for each in ("start", "kept", "all", "own change")] == ["0.100", "0.200", "0.300", "1.00"]
        assert (row["space"], row["from"], row["steps"]) == (name, "span" if given is None else "w", "2")
        assert [each.code_dim for each in scored] == [8 if given is start else width, width, width]
        assert not torch.equal(scored[0].vectors, scored[2].vectors)


def test_every_row_of_the_terms_is_another_search(capsys: pytest.CaptureFixture[str]) -> None:
    scored: list[Directions] = []
    rung = small_rung(scored)
    space = rung.latent_space
    start = Discovery(space.features, space.sample_codes, DiscoverySettings(steps=0, num_directions=2)).directions()
    found = {}
    for name in direction_terms.ROWS:
        scored.clear()
        row = dict(zip(direction_terms.TITLES, direction_terms.row(rung, name, 1, start, 1), strict=True))
        assert (row["search"], row["start"], row["kept"], row["all"]) == (name, "0.100", "0.200", "0.300")
        found[name] = scored[2].vectors
        assert torch.equal(scored[0].vectors, start.vectors) == (name != direction_terms.RANDOM_START)
    others = [vectors for name, vectors in found.items() if name != "without a least effect"]
    assert all(not torch.equal(one, other) for one, other in itertools.combinations(others, 2))
    with pytest.raises(SystemExit):
        direction_terms.main(["scenes", "--rows", "default,nothing"])
    assert "'nothing' is no row; those are default, without RTD" in capsys.readouterr().err


@pytest.fixture(scope="module")
def scene_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that stands for the full table of 32 px, without the minute of ray casting."""
    path = tmp_path_factory.mktemp("table") / "table.bin"
    small = SceneTable(32, num_scales=1, num_orientations=1, samples=1)
    path.write_bytes(np.tile(small.maps[:1].numpy().reshape(-1), 4 * 41 * 121).tobytes())
    return path


def run(script: object, folder: Path, scene_table: Path, steps: int, *more: str) -> dict:
    folder.mkdir(exist_ok=True)
    (folder / "table.bin").write_bytes(scene_table.read_bytes())
    script.main([str(folder), "--batch", "4", "--max-steps", str(steps), *more])
    return torch.load(folder / "state.pt", weights_only=True)


def flattened(state: dict) -> list[torch.Tensor]:
    found = []
    for value in state.values():
        if isinstance(value, dict):
            found += flattened(value)
        elif isinstance(value, torch.Tensor):
            found.append(value)
    return found


@pytest.mark.parametrize(
    ("script", "more"),
    [
        (train_scenes_gan, ("--style-mixing", "0.9", "--path-length", "2")),
        (train_scenes_gan, ("--data", "pebbles")),
        (train_scenes_gan, ("--loss", "relativistic", "--gamma-fakes", "0.1", "--gamma-final", "0.1")),
        (train_scenes_fitted, ()),
    ],
)
def test_a_run_in_two_parts_equals_one_in_one_go(
    script: object, more: tuple, tmp_path: Path, scene_table: Path
) -> None:
    whole = run(script, tmp_path / "whole", scene_table, 2, *more)
    run(script, tmp_path / "parts", scene_table, 1, *more)
    parts = run(script, tmp_path / "parts", scene_table, 1, *more)
    pairs = list(zip(flattened(whole), flattened(parts), strict=True))
    assert len(pairs) > 50
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_training_stops_after_the_processor_time_that_it_is_given(tmp_path: Path, scene_table: Path) -> None:
    state = run(train_scenes_gan, tmp_path / "run", scene_table, 3, "--max-minutes", "0")
    assert state["steps"] == 0
    assert run(train_scenes_gan, tmp_path / "run", scene_table, 3, "--max-minutes", "60")["steps"] == 3
    assert "max_minutes" not in json.loads((tmp_path / "run" / "settings.json").read_text())


def test_exported_generator_is_the_average_and_keeps_the_truth(tmp_path: Path, scene_table: Path) -> None:
    state = run(train_scenes_fitted, tmp_path / "fit", scene_table, 1)
    export_scenes.main([str(tmp_path / "fit"), str(tmp_path / "out.safetensors")])
    generator = stylegan2.load(tmp_path / "out.safetensors")
    assert torch.allclose(generator.synthesis.b4.const, state["average"]["synthesis.b4.const"], atol=2e-3)
    source = export_scenes.description(state, {"seed": 0, "batch": 4})
    assert source["data"] == "scenes of continuous factors (vae.data.scenes)"
    again = CodeToFactors.from_metadata(source["truth"])
    assert torch.equal(again.rotation, CodeToFactors.random(64, 0).rotation)


@pytest.mark.parametrize("name", scenes_training.DATA)
def test_drawn_data_shows_what_its_index_units_say(name: str, tmp_path: Path, scene_table: Path) -> None:
    data = scenes_training.drawn_data(name, 32, scene_table)
    values = data.uniform_values(6, torch.Generator().manual_seed(0))
    index = data.to_index_units(values)
    sizes = torch.tensor([factor.size for factor in data.factors])
    assert index.shape == (6, len(sizes))
    assert ((index >= 0) & (index <= sizes)).all()
    images = data.of_indices(index.round().long() % sizes)
    assert images.shape == data.draw(6, torch.Generator().manual_seed(0)).shape == (6, 3, 32, 32)
    assert images.abs().max() <= 1
    if name == "pebbles":  # the table of scenes here holds a single geometry
        nearby = (images - data.images(values)).abs().mean()
        assert nearby < 0.5 * (images - data.images(values.roll(1, 0))).abs().mean()


def test_a_factor_network_of_pebbles_says_what_it_was_trained_on(tmp_path: Path) -> None:
    path = tmp_path / "factors.safetensors"
    options = ("--data", "pebbles", "--num-images", "640", "--width", "8", "--num-test", "250")
    train_scenes_factors.main(["--output", str(path), *options])
    network, facts = FactorNetwork.load(path), FactorNetwork.metadata_of(path)
    assert network.factors == scenes_training.drawn_data("pebbles", 32).factors
    assert facts["data"] == "pebbles"
    assert set(facts["test_accuracy"]) == {"clean", "blurred", "noisy"}


def test_a_value_that_a_generator_never_makes_has_no_relative_share() -> None:
    made, drawn = {"shares": [0.0, 0.75, 0.25]}, {"shares": [0.25, 0.5, 0.25]}
    assert scenes_quality.relative_shares(made, drawn) == [0.0, 1.5, 1.0]


def test_factors_of_a_code_follow_orthonormal_directions_uniformly() -> None:
    codes = CodeToFactors.random(64, 3)
    assert torch.allclose(codes.rotation @ codes.rotation.T, torch.eye(6), atol=1e-5)
    index = to_index_units(codes.values(torch.randn(8000, 64, generator=torch.Generator().manual_seed(0))))
    assert torch.allclose(index.mean(dim=0), torch.tensor([5.0, 5, 5, 3.5, 1.5, 7]), rtol=0.03)


def test_blur_of_width_zero_leaves_an_image_alone_and_others_keep_their_mean() -> None:
    images = torch.rand(2, 3, 32, 32)
    soft = train_scenes_factors.blurred(images, torch.tensor([0.0, 1.0]))
    assert torch.allclose(soft[0], images[0], atol=1e-6)
    assert soft[1].std() < 0.5 * images[1].std()
    assert soft[1].mean() == pytest.approx(float(images[1].mean()), abs=0.02)


def test_every_script_can_be_imported() -> None:
    """What the scripts take from the packages is there; libraries of the extra `benchmark` may be missing."""
    code = """
import importlib, sys
sys.path[:0] = sys.argv[1:3]
for name in sys.argv[3:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] in ("ganspace_topdis", "stylegan2", "vae", "tests", "benchmarks", "cli"):
            raise
"""
    names = sorted(path.stem for path in BENCHMARKS.glob("*.py"))
    assert "vae_step" in names
    command = [sys.executable, "-c", code, str(BENCHMARKS), str(BENCHMARKS.parent), *names]
    subprocess.run(command, check=True, timeout=300)


def directions_along(rows: torch.Tensor) -> Directions:
    width = rows.shape[1]
    return Directions(
        vectors=rows, dual_vectors=rows, mean=torch.zeros(width), span=torch.eye(width), scales=torch.ones(width)
    )


def test_scores_without_truth_are_ordered_over_sets_and_over_single_directions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--methods", "random,axes,oracle", "--seeds", "0-1", "--cells", str(tmp_path)]
    for seed, (method, mixture) in itertools.product((0, 1), (("random", 0.5), ("axes", 0.2), ("oracle", 0.0))):
        true = HandBuiltGenerator(seed=seed).true_directions
        rows = torch.nn.functional.normalize(true + mixture * true.roll(1, 0), dim=1)
        found = directions_along(rows)
        path = directions.path_of(tmp_path, HandBuilt(), method, seed)
        found.save(path.with_suffix(".safetensors"))
        scores = HandBuilt().score(found, seed)
        path.write_text(json.dumps({"rung": "hand-built", "method": method, "seed": seed, "scores": scores}))
    direction_orders.main([*options, "--rungs", "hand-built"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| at equal effect | hand-built: 6 sets |"
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {name}" for name in direction_orders.SCORES]
    of_sets, single = lines[2].split(" | ")[1].removesuffix(") |").split(" (")
    assert float(of_sets) > 0.5
    assert -1 < float(single) < float(of_sets)


def test_the_truth_of_a_direction_is_that_of_its_match() -> None:
    true = HandBuiltGenerator(seed=2).true_directions
    rows = torch.cat([true.flip(0), true[:1] + true[1:2]])
    found = directions_along(rows)
    *matched, without = direction_orders.truths_of(HandBuilt(), found, 2)
    assert matched == pytest.approx([1.0] * 6)
    assert without is None


def test_correlations_of_single_directions_leave_out_those_without_a_factor() -> None:
    nothing = {field.name: [1.0, 1.0, 1.0] for field in dataclasses.fields(HeldOutScores)}
    sets = [
        direction_orders.ScoredSet(
            truth=truth, truths=truths, held_out=HeldOutScores(**{**nothing, "overlap": overlap, "rtd": overlap[::-1]})
        )
        for truth, truths, overlap in (
            (0.9, [0.9, 0.8, None], [0.1, 0.2, 0.6]),
            (0.5, [0.3, None, 0.6], [0.7, 0.9, 0.4]),
            (0.4, [0.5, 0.4, 0.1], [0.5, 0.6, 0.9]),
        )
    ]
    with pytest.warns(match="constant"):
        shown = direction_orders.orders(sets)
    assert shown["overlap"] == "1.00 (1.00)"
    assert shown["mixed difference"] == "nan (nan)"


def test_the_change_by_one_unit_is_that_of_a_shift_of_equal_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    ones = {field.name: [1.0, 1.0] for field in dataclasses.fields(HeldOutScores)}
    held_out = HeldOutScores(**{**ones, "amount": [0.5, 9.0], "score": [0.1, 0.2]})
    monkeypatch.setattr(direction_units, "evaluate_held_out", lambda *arguments, **options: held_out)
    rung = SimpleNamespace(
        spaces={3: SimpleNamespace(features=None, sample_codes=None)},
        rescore=lambda directions, seed: SimpleNamespace(
            own_change=directions.in_sigmas().vectors.norm(dim=1).tolist()
        ),
    )
    eye = torch.eye(3)
    found = Directions(vectors=eye[:2], dual_vectors=eye[:2], mean=torch.zeros(3), span=eye, scales=torch.ones(3))
    changes, units = direction_units.changes_at_one_unit(rung, found, 0)
    assert units == [2.0, 0.5]  # in the order of their scores, two standard deviations at most
    assert changes == pytest.approx(units)
