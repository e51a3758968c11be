"""`topdis-gan score` on small untrained generators: what is measured, written, and refused."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import stylegan2.runs.scores
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.evaluation.reconstructor import ReconstructorSettings
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.checkpoints import CheckpointStore
from ganspace_topdis.traversal.names import NAMES_FILE, DirectionName, write_names
from stylegan2 import Generator, save
from stylegan2.commands import score
from stylegan2.runs.pictures import names_of, source_of
from stylegan2.runs.scores import score_held_out, space_of_run
from tests.stylegan2.commands.found_directions import main as run

SEARCH = ["--steps", "1", "--num-span-codes", "200", "--batch-size", "8", "--num-directions", "3"]
PICTURES = ["--seeds", "0", "--frames", "3"]
SCENES = {"data": "scenes of continuous factors (vae.data.scenes)"}


def checkpoint(path: Path, source: dict[str, str], seed: int = 0) -> Path:
    torch.manual_seed(seed)
    generator = Generator(z_dim=8, w_dim=8, img_resolution=32, num_mapping_layers=2, channel_base=128, channel_max=8)
    return save(generator.eval(), path, source=source)


def discover(ckpt: Path, out: Path, seed: int = 0) -> Path:
    assert run("discover", "--ckpt", str(ckpt), "--out", str(out), "--seed", str(seed), *SEARCH, *PICTURES) == 0
    return out


@pytest.fixture(scope="module", autouse=True)
def few_images() -> Iterator[None]:
    """Images of untrained generators say nothing, so few will do."""
    with pytest.MonkeyPatch.context() as patch:
        few = {"_NUM_CODES": 20, "_NUM_ORACLE_CODES": 100, "_NUM_RECONSTRUCTOR_CODES": 60}
        for name, count in {**few, "_NUM_CLOUDS": 3, "_NUM_RANDOM": 20}.items():
            patch.setattr(stylegan2.runs.scores, name, count)
        quick = ReconstructorSettings(num_steps=3, batch_size=8, held_out=0.1)
        patch.setattr(stylegan2.runs.scores, "_RECONSTRUCTOR", quick)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("score")


@pytest.fixture(scope="module")
def scenes_run(folder: Path) -> Path:
    return discover(checkpoint(folder / "scenes.safetensors", SCENES), folder / "run")


@pytest.fixture(scope="module")
def other_seed(folder: Path, scenes_run: Path) -> Path:
    return discover(folder / "scenes.safetensors", folder / "seed1", seed=1)


@pytest.fixture(scope="module")
def scored(scenes_run: Path, other_seed: Path) -> dict[str, Any]:
    assert run("score", str(scenes_run), "--agree-with", str(other_seed)) == 0
    scores: dict[str, Any] = json.loads((scenes_run / "scores.json").read_text())
    return scores


def test_a_rectangular_generator_is_scored_and_its_directions_are_told_apart(folder: Path) -> None:
    torch.manual_seed(0)
    sizes = {"z_dim": 8, "w_dim": 8, "img_resolution": 16, "num_mapping_layers": 1, "channel_base": 64}
    ckpt = save(Generator(**sizes, base_size=(4, 2)).eval(), folder / "tall.safetensors")
    out = discover(ckpt, folder / "tall")
    assert run("score", str(out)) == 0
    scores = json.loads((out / "scores.json").read_text())["scores"]
    assert scores["reconstructor"]["chance"] == pytest.approx(1 / 3)


def test_directions_of_style_channels_are_scored_like_others(folder: Path, scenes_run: Path) -> None:
    out = folder / "channels"
    options = ("--space", "s", "--out", str(out))
    assert run("discover", "--ckpt", str(folder / "scenes.safetensors"), *options, *SEARCH, *PICTURES) == 0
    before = Directions.load(out)
    assert run("score", str(out)) == 0
    after = Directions.load(out)
    assert after.code_dim == before.code_dim > 8
    assert len(after.metadata["recognized"]) == len(after.metadata["share"]) == 3
    assert set(after.metadata["scores"]) == {"rescoring", "oracle", "noise_floor", "reconstructor"}


def test_the_whole_is_measured_against_truth_and_without_it(scored: dict[str, Any]) -> None:
    assert set(scored["scores"]) == {"rescoring", "oracle", "noise_floor", "reconstructor", "agreement"}
    assert len(scored["scores"]["noise_floor"]) == 6
    assert scored["scores"]["agreement"]["num_others"] == 1


def test_every_direction_has_every_score(scored: dict[str, Any]) -> None:
    expected = {"rtd_before", "rtd_after", "effect", "mixed", "overlap", "amount", "score", "chance"}
    expected |= {"unit", "better_than_chance", "rtd_low", "rtd_high", "effect_low", "effect_high"}
    expected |= {"factor", "share", "own_change", "spearman", "recognized", "agreement"}
    assert all(set(row) == {"index", "rank", *expected} for row in scored["directions"])


def test_the_rank_follows_the_new_score_and_the_numbers_stay(scored: dict[str, Any], scenes_run: Path) -> None:
    rows = scored["directions"]
    assert [row["index"] for row in rows] == [0, 1, 2]
    scores = [row["score"] for row in sorted(rows, key=lambda row: row["rank"])]
    assert scores == sorted(scores, reverse=True)
    assert sorted(row["rank"] for row in rows) == [1, 2, 3]
    assert [row["score"] for row in rows] == pytest.approx([1 - row["overlap"] for row in rows])
    assert [row["better_than_chance"] for row in rows] == [row["chance"] <= 0.1 for row in rows]
    assert Directions.load(scenes_run).score_table() == scored


def unscored(scenes_run: Path, copy: Path, order: list[int]) -> Directions:
    """A copy of the run whose directions are in another order; returns them."""
    shutil.copytree(scenes_run, copy)
    directions = Directions.load(copy).select(order)
    directions.save(copy / "directions.safetensors")
    return directions


def test_before_and_after_are_evaluated_on_the_same_codes(
    scored: dict[str, Any], scenes_run: Path, tmp_path: Path
) -> None:
    turned = unscored(scenes_run, tmp_path / "run", [2, 0, 1])
    assert run("score", str(tmp_path / "run"), "--no-truth", "--no-reconstructor") == 0
    after = Directions.load(tmp_path / "run")
    assert torch.equal(after.vectors, turned.vectors)
    assert after.metadata["rtd_before"] == [scored["directions"][index]["rtd_before"] for index in (2, 0, 1)]
    space = space_of_run(scenes_run, after, scenes_run.parent / "scenes.safetensors", torch.device("cpu"))
    state = CheckpointStore(scenes_run / "checkpoints").load_newest()
    settings = DiscoverySettings(**after.metadata["settings"])
    search = Discovery.resume(space.features, space.sample_codes, settings, (state.tensors, state.rest))
    plain = after.in_sigmas()
    start = dataclasses.replace(search.directions(search.initial_rotation), metadata=plain.metadata)
    found = search.directions().vectors
    same = [next(row for row in range(3) if torch.allclose(found[row], vector, atol=1e-5)) for vector in plain.vectors]
    rtd = score_held_out(space, start, after, rtd_only=True).rtd
    assert after.metadata["rtd_before"] == [rtd[row] for row in same]


@pytest.mark.parametrize("search_in", ["both", "span"])
def test_the_start_is_found_of_directions_that_were_put_back_and_of_runs_that_say_not_where_they_searched(
    folder: Path, search_in: str
) -> None:
    out = folder / search_in
    options = ("--out", str(out), "--search-in", search_in, *SEARCH, "--steps", "4", *PICTURES)
    assert run("discover", "--ckpt", str(checkpoint(folder / "again.safetensors", {})), *options) == 0
    found = Directions.load(out)
    if search_in == "both":
        assert not all(found.metadata["improved"])
    else:
        del found.metadata["settings"]["search_in"]
        found.save(out / "directions.safetensors")
    assert run("score", str(out), "--no-truth", "--no-reconstructor") == 0
    assert len(Directions.load(out).metadata["rtd_before"]) == 3


@pytest.mark.filterwarnings("always:RTD before is left out")
def test_without_the_start_of_the_search_rtd_before_is_left_out_with_a_warning(
    scored: dict[str, Any], scenes_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unscored(scenes_run, tmp_path / "run", [0, 1, 2])
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    assert run("score", str(tmp_path / "run"), "--no-truth", "--no-reconstructor") == 0
    assert "warning: RTD before is left out" in capsys.readouterr().err
    assert "rtd_before" not in json.loads((tmp_path / "run/scores.json").read_text())["directions"][0]


def test_scoring_again_changes_nothing(scored: dict[str, Any], scenes_run: Path, other_seed: Path) -> None:
    before = (scenes_run / "directions.safetensors").read_bytes()
    assert run("score", str(scenes_run), "--agree-with", str(other_seed)) == 0
    assert (scenes_run / "directions.safetensors").read_bytes() == before


def test_what_is_left_out_is_kept_from_before(scored: dict[str, Any], scenes_run: Path) -> None:
    assert run("score", str(scenes_run), "--no-truth", "--no-reconstructor") == 0
    assert json.loads((scenes_run / "scores.json").read_text()) == scored


def test_the_scores_are_printed_and_on_the_page(
    scored: dict[str, Any], scenes_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("score", str(scenes_run), "--no-reconstructor") == 0
    printed = capsys.readouterr().out
    share = f"share {scored['scores']['rescoring']['mean_share']:.3f}"
    assert share in printed
    assert "unseen pairs" in printed
    page = (scenes_run / "explorer.html").read_text()
    assert share in page
    assert all(word in printed and word in page for word in ("Rank", "Score", "Chance", "Overlap", "Share"))


def test_a_direction_no_better_than_chance_says_so_in_the_table_and_on_the_page(
    scored: dict[str, Any], scenes_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weak = [row["index"] for row in scored["directions"] if not row["better_than_chance"]]
    assert weak
    assert run("score", str(scenes_run), "--no-reconstructor", "--no-truth") == 0
    printed = capsys.readouterr().out
    assert printed.count(", no better") == len(weak)
    assert "no better: than chance" in printed
    assert (scenes_run / "explorer.html").read_text().count('"chance level"]') == len(weak)


def test_a_name_stays_with_its_number_whatever_the_scores(scenes_run: Path, tmp_path: Path) -> None:
    turned = unscored(scenes_run, tmp_path / "run", [2, 1, 0])
    write_names(tmp_path / "run" / NAMES_FILE, {2: DirectionName(name="Best")}, source=source_of(turned))
    assert run("score", str(tmp_path / "run"), "--no-truth", "--no-reconstructor") == 0
    after = Directions.load(tmp_path / "run")
    assert torch.equal(after.vectors, turned.vectors)
    assert names_of(tmp_path / "run", after) == {2: DirectionName(name="Best")}


def test_codes_are_truncated_as_in_the_search(scenes_run: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "narrow"
    ckpt = str(folder / "scenes.safetensors")
    assert run("discover", "--ckpt", ckpt, "--out", str(out), "--search-psi", "0.5", *SEARCH, *PICTURES) == 0
    narrow, wide = (score._subject(score.Options(run=path)).space for path in (out, scenes_run))
    assert (narrow.truncation_psi, wide.truncation_psi) == (0.5, 1.0)


def test_a_scoring_keeps_what_another_one_has_just_added(
    scenes_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(scenes_run, tmp_path / "run")
    subject_of = score._subject

    def meanwhile(options: score.Options) -> Any:
        subject = subject_of(options)
        added = {**subject.directions.metadata, "agreement": [0.5, 0.25, 0.125]}
        dataclasses.replace(subject.directions, metadata=added).save(tmp_path / "run" / "directions.safetensors")
        return subject

    monkeypatch.setattr(score, "_subject", meanwhile)
    score.run(score.Options(run=tmp_path / "run", truth=False, reconstructor=False))
    assert Directions.load(tmp_path / "run").metadata["agreement"] == [0.5, 0.25, 0.125]


def test_as_many_images_are_made_at_a_time_as_fit(scenes_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = score._subject(score.Options(run=scenes_run))
    fitting = partial(stylegan2.runs.scores._fitting, subject.space.images, subject.space)
    assert fitting(subject.directions, 256) == 256
    monkeypatch.setattr("ganspace_topdis.discovery.micro_batch.free_memory_bytes", lambda device: 1_000_000)
    assert fitting(subject.directions, 256) < 64
    told = {**subject.directions.metadata["settings"], "micro_batch": 5}
    facts = {**subject.directions.metadata, "settings": told}
    found = dataclasses.replace(subject.directions, metadata=facts)
    assert fitting(found, 256) == 5
    used: list[int] = []
    monkeypatch.setattr(
        stylegan2.runs.scores, "evaluate_held_out", lambda *_, micro_batch, **more: used.append(micro_batch)
    )
    start = dataclasses.replace(found, metadata={})
    score_held_out(subject.space, start, found)
    assert used == [5]


def test_a_generator_without_known_factors_gets_the_other_scores(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = discover(checkpoint(folder / "other.safetensors", {}), folder / "other")
    capsys.readouterr()
    assert run("score", str(other), "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["scores"]) == {"reconstructor"}
    assert "share" not in result["directions"][0]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert run("score", *arguments) in (1, 2)
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    return error


def test_directions_of_another_checkpoint_are_refused(
    folder: Path, scenes_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    another = checkpoint(folder / "another.safetensors", SCENES, seed=5)
    assert "SHA-256" in refused(capsys, str(scenes_run), "--ckpt", str(another))
    stranger = discover(another, folder / "stranger")
    assert "another checkpoint" in refused(capsys, str(scenes_run), "--agree-with", str(stranger))


def test_a_run_is_not_compared_with_itself(scenes_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for again in (scenes_run, scenes_run / "directions.safetensors"):
        assert "other seeds" in refused(capsys, str(scenes_run), "--agree-with", str(again))


def test_a_folder_without_directions_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "topdis-gan discover" in refused(capsys, str(tmp_path))


def test_directions_that_do_not_say_how_they_were_found_are_refused(
    scenes_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_bytes((scenes_run / "config.json").read_bytes())
    bare = dataclasses.replace(Directions.load(scenes_run), metadata={})
    bare.save(tmp_path / "directions.safetensors")
    assert "resolution, layers, label, settings" in refused(capsys, str(tmp_path))


def test_truth_and_protocol_need_known_factors(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = discover(checkpoint(folder / "unknown.safetensors", {}), folder / "unknown")
    assert "--factor-network" in refused(capsys, str(other), "--truth")
    assert "labeled images" in refused(capsys, str(other), "--protocol")


def test_metrics_of_the_protocol_need_it(scenes_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--protocol-metrics are computed by --protocol" in refused(
        capsys, str(scenes_run), "--protocol-metrics", "mcc"
    )


def test_an_unknown_metric_of_the_protocol_is_refused(scenes_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'mcc'" in refused(capsys, str(scenes_run), "--protocol", "--protocol-metrics", "mccc")
