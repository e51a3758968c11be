"""The plans of a discovery and a scoring, counted by hand, and what they leave out."""

import json
from dataclasses import replace

import pytest

from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.evaluation.protocol import ProtocolSettings
from ganspace_topdis.evaluation.reconstructor import ReconstructorSettings
from stylegan2 import save
from stylegan2.commands import discover, score
from stylegan2.commands.discover import Options, plan_text
from stylegan2.runs import plan as plans
from stylegan2.runs.plan import Pace, chosen_pictures, measure_pace, plan_run
from stylegan2.runs.score_plan import ScoreCounts, plan_scores
from stylegan2.settings import PictureSettings
from stylegan2.space import LatentSpace
from stylegan2.zoo import is_on_this_machine
from tests.stylegan2.commands.found_directions import main, small_generator

PACE = Pace(sample_s=0.001, features_s=0.01, gradient_s=0.03, rtd_s=0.5, image_s=1.0, code_dim=512)
SEARCH = DiscoverySettings(
    num_directions=4, steps=10, batch_size=16, directions_per_step=2, num_span_codes=1000, num_probes=100
)
PICTURES = PictureSettings()


def plan(pace=PACE, search=SEARCH, pictures=PICTURES, **options):
    return plan_run(pace, search, pictures, image_px=1024, **options)


def test_each_part_is_what_counting_gives():
    found = plan()
    assert found.span_s == pytest.approx(1000 * 0.001 + 100 * 0.03)
    assert found.search_s == pytest.approx(12 * (16 * 0.01 + 2 * (16 * 0.03 + 2 * 0.5)))
    assert plan(search=replace(SEARCH, search_in="span")).search_s == pytest.approx(found.search_s * 10 / 12)
    shifted = 2 * 5 * (1 + 4) + 2 * 4 + 0.4 * 5 * 4 + 2.5 * 20  # five clouds, four directions, 20 random ones
    compared = 32 * (1 + 4 * 4) + 256 * (1 + 4 * 4)  # amounts before and after; changes, and those of pairs
    assert found.judging_s == pytest.approx((shifted * 16 + compared) * 0.01 + 2 * 5 * 4 * 0.5)
    assert plan(search=replace(SEARCH, accept_all=True)).judging_s == pytest.approx(found.judging_s - compared * 0.01)
    assert plan(all_pictures=True).num_images == 6 * (1 + 4 * 8)
    assert found.total_s == pytest.approx(found.span_s + found.search_s + found.judging_s + found.pictures_s)


@pytest.mark.parametrize(
    ("method", "shifted_in_the_span", "shifted_in_the_whole_code"),
    [("hessian", 4, 6), ("reconstructor", 1, 3), ("contrastive", 2, 2), ("sparsity", 2, 2)],
)
def test_other_methods_shift_as_many_codes_as_they_need_and_compute_no_rtd(
    method, shifted_in_the_span, shifted_in_the_whole_code
):
    searched = replace(SEARCH, method=method)
    in_the_span = 10 * 16 * (0.01 + shifted_in_the_span * 0.03)
    assert plan(search=replace(searched, search_in="span")).search_s == pytest.approx(in_the_span)
    in_the_whole = 2 * 16 * (0.01 + shifted_in_the_whole_code * 0.03)
    assert plan(search=searched).search_s == pytest.approx(in_the_span + in_the_whole)


def test_no_more_directions_are_planned_than_a_code_has_numbers():
    assert plan(replace(PACE, code_dim=3), replace(SEARCH, num_directions=99)).num_directions == 3


def test_a_closed_form_takes_no_steps_and_is_judged_once():
    form = plan(takes_steps=False)
    assert form.search_s == 0
    searched = plan(search=replace(SEARCH, search_in="span"))
    assert form.judging_s == pytest.approx(searched.judging_s - (5 * (1 + 4) + 4) * 16 * 0.01 - 5 * 4 * 0.5)


@pytest.mark.parametrize("image_s", [0.001, 0.1, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("steps", [10, 100, 1000])
def test_default_pictures_and_judging_take_no_longer_than_the_search_or_a_minute(image_s, steps):
    found = plan(replace(PACE, image_s=image_s), replace(SEARCH, steps=steps))
    fewest = 1 + 4 * 2
    searched_s = found.span_s + found.search_s
    assert found.pictures_s <= max(60, min(searched_s / 4, searched_s - found.judging_s), fewest * image_s)
    assert found.whole == (found.pictures == PICTURES)
    assert found.whole or "--all-pictures draws all" in found.as_text()


def test_mixes_are_left_out_first_then_seeds_then_frames():
    search = replace(SEARCH, steps=0)
    shapes = []
    for image_s in (0.01, 0.4, 1.0, 5.0):
        chosen = plan(replace(PACE, image_s=image_s), search).pictures
        shapes.append((len(chosen.seeds), chosen.num_frames))
    assert shapes == sorted(shapes, reverse=True)
    assert shapes[0] == (6, 9)
    assert shapes[-1] == (1, 3)


@pytest.mark.parametrize("named", [{"seeds": (7, 8, 9)}, {"num_frames": 11}])
def test_what_was_asked_for_is_drawn(named):
    pictures = replace(PICTURES, **named)
    chosen = plan(replace(PACE, image_s=100.0), pictures=pictures).pictures
    assert all(getattr(chosen, name) == value for name, value in named.items())
    assert plan(replace(PACE, image_s=100.0), all_pictures=True).pictures == PICTURES


def test_the_pictures_of_a_folder_stay_those_of_its_first_plan(tmp_path):
    def slow():
        return plan(replace(PACE, image_s=2.0))

    first = chosen_pictures(tmp_path, PICTURES, slow)
    assert first != PICTURES
    assert chosen_pictures(tmp_path, PICTURES, plan) == first
    assert chosen_pictures(tmp_path, PICTURES, None) == first
    other = replace(PICTURES, seeds=(9,), num_frames=3)
    assert chosen_pictures(tmp_path, other, None) == other
    assert chosen_pictures(tmp_path, PICTURES, lambda: plan(all_pictures=True), all_pictures=True) == PICTURES
    assert not (tmp_path / "pictures.json").exists()
    for damage in ("{", json.dumps({"named": {}}), "[]"):
        (tmp_path / "pictures.json").write_text(damage)
        assert chosen_pictures(tmp_path, PICTURES, None) == PICTURES


def test_a_generator_is_timed_with_and_without_gradients():
    pace = measure_pace(LatentSpace(generator=small_generator(), resolution=16), batch_size=8)
    assert min(vars(pace).values()) > 0


@pytest.mark.parametrize(("long_s", "printed"), [(0.0, True), (1e9, False)])
def test_a_long_run_prints_its_plan_and_draws_the_pictures_that_fit(tmp_path, monkeypatch, capsys, long_s, printed):
    monkeypatch.setattr(plans, "_LONG_S", long_s)
    slow = replace(PACE, image_s=1.0 if printed else 1e-6, code_dim=8)
    monkeypatch.setattr(plans, "measure_pace", lambda *arguments: slow)
    search = DiscoverySettings(num_directions=2, steps=1, batch_size=8, num_span_codes=100, num_probes=64)
    ckpt = str(save(small_generator(), tmp_path / "small.safetensors"))
    out = tmp_path / "run"
    discover.run(Options(ckpt=ckpt, out=out, search=search, pictures=PictureSettings(num_mixed=0), device="cpu"))
    assert ("plan, measured" in capsys.readouterr().err) == printed
    assert (out / "pictures.json").exists() == printed
    if printed:
        assert json.loads((out / "pictures.json").read_text())["drawn"]["seeds"] == [0, 1, 2]


def test_a_dry_run_shows_the_plan_and_starts_nothing(tmp_path, capsys):
    assert main("discover", "--out", str(tmp_path / "run"), "--dry-run") == 0
    shown = capsys.readouterr()
    assert all(part in shown.err for part in ("span", "search", "judging", "pictures", "all ", "about"))
    assert "steps" in shown.out
    assert not (tmp_path / "run").exists()


def test_a_dry_run_downloads_nothing_and_answers_where_the_run_would_fail(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TOPDIS_CACHE", str(tmp_path))
    for name in ("ffhq", "human-512", "https://example.com/a.pkl", "hf://me/nets/a.pkl"):
        assert not is_on_this_machine(name)
        assert "is downloaded first" in plan_text(Options(ckpt=name))
    assert main("discover", "--ckpt", "missing.pkl", "--dry-run") == 0
    assert "not timed (no file at missing.pkl; check the path)" in capsys.readouterr().err


SCORED = ReconstructorSettings(num_steps=10, batch_size=8, held_out=0.1)
COUNTS = ScoreCounts(
    num_points=16, num_clouds=5, num_random=20, num_sets=2, num_codes=300, num_oracle_codes=0,
    num_reconstructor_codes=100, num_images=50,
)  # fmt: skip


def score_plan(pace=PACE, counts=COUNTS, reconstructor=None, **options):
    return plan_scores(pace, counts, 4, reconstructor=reconstructor, settings=SCORED, **options)


def test_each_part_of_a_scoring_is_what_counting_gives():
    found = score_plan()
    assert found.judging_s == pytest.approx(plan(search=replace(SEARCH, search_in="span")).judging_s)
    assert found.reconstructor_s == pytest.approx(2 * (10 * 8 + 10 * 4) * 1.0)
    assert found.pictures_s == pytest.approx(50)
    assert found.factors_s == found.protocol_s == 0
    assert found.total_s == pytest.approx(found.judging_s + found.reconstructor_s + found.pictures_s)
    assert "factors" not in found.as_text()
    known = score_plan(counts=replace(COUNTS, num_oracle_codes=1000), protocol=ProtocolSettings())
    assert known.factors_s == pytest.approx(1000 + 4 * 300 + (4 + 8) * (480 + 2400))
    assert known.protocol_s == pytest.approx(1000 * 64)


@pytest.mark.parametrize(
    ("reconstructor", "image_s", "trained"),
    [(None, 1.0, True), (None, 10.0, False), (True, 10.0, True), (False, 0.1, False)],
)
def test_the_reconstructor_is_left_out_by_default_where_it_takes_too_long(reconstructor, image_s, trained):
    found = score_plan(replace(PACE, image_s=image_s), reconstructor=reconstructor)
    assert (found.reconstructor_s > 0) == trained
    assert ("--reconstructor trains it" in found.as_text()) == (reconstructor is None and not trained)


def test_a_dry_run_of_score_shows_its_plan_and_changes_nothing(tmp_path, monkeypatch, capsys):
    search = DiscoverySettings(num_directions=2, steps=1, batch_size=8, num_span_codes=100, num_probes=16)
    ckpt, out = str(save(small_generator(), tmp_path / "small.safetensors")), tmp_path / "run"
    discover.run(Options(ckpt=ckpt, out=out, search=search, pictures=PictureSettings(num_mixed=0), device="cpu"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    capsys.readouterr()
    assert main("score", str(out), "--dry-run") == 0
    shown = capsys.readouterr()
    assert all(part in shown.err for part in ("judging", "reconstructor", "pictures", "all ", "about"))
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    monkeypatch.setattr(plans, "_LONG_S", 1e9)
    assert main("score", str(tmp_path / "none"), "--dry-run") == 0
    assert "plan: not timed" in capsys.readouterr().err


@pytest.mark.parametrize(("long_s", "printed"), [(0.0, True), (1e9, False)])
def test_a_long_scoring_prints_its_plan(tmp_path, monkeypatch, capsys, long_s, printed):
    for name, count in {"_NUM_CLOUDS": 2, "_NUM_RANDOM": 4}.items():
        monkeypatch.setattr(f"stylegan2.runs.scores.{name}", count)
    monkeypatch.setattr(plans, "_LONG_S", long_s)
    search = DiscoverySettings(num_directions=2, steps=1, batch_size=8, num_span_codes=100, num_probes=16)
    ckpt, out = str(save(small_generator(), tmp_path / "small.safetensors")), tmp_path / "run"
    discover.run(Options(ckpt=ckpt, out=out, search=search, pictures=PictureSettings(seeds=(0,)), device="cpu"))
    capsys.readouterr()
    monkeypatch.setattr(plans, "measure_pace", lambda *arguments: replace(PACE, image_s=100.0, code_dim=8))
    record = score.run(score.Options(run=out))
    assert ("plan, measured" in capsys.readouterr().err) == printed
    assert all("recognized" not in row for row in record["directions"])
