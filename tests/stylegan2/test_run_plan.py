"""The plan of a discovery, counted by hand, and the pictures that it leaves out."""

import json
from dataclasses import replace

import pytest

from ganspace_topdis.discovery.settings import DiscoverySettings
from stylegan2 import run_plan, save
from stylegan2.commands import discover
from stylegan2.commands.discover import Options, plan_text
from stylegan2.loading import is_on_this_machine
from stylegan2.picture_settings import PictureSettings
from stylegan2.run_plan import Pace, chosen_pictures, measure_pace, plan_run
from stylegan2.space import LatentSpace
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
    assert found.search_s == pytest.approx(10 * (16 * 0.01 + 2 * (16 * 0.03 + 2 * 0.5)))
    shifted = 2 * 5 * (1 + 4) + 2 * 4 + 0.4 * 5 * 4 + 2.5 * 20  # five clouds, four directions, 20 random ones
    assert found.judging_s == pytest.approx(shifted * 16 * 0.01 + 2 * 5 * 4 * 0.5)
    assert plan(all_pictures=True).num_images == 6 * (1 + 4 * 8)
    assert found.total_s == pytest.approx(found.span_s + found.search_s + found.judging_s + found.pictures_s)


def test_no_more_directions_are_planned_than_a_code_has_numbers():
    assert plan(replace(PACE, code_dim=3), replace(SEARCH, num_directions=99)).num_directions == 3


def test_a_closed_form_takes_no_steps_and_is_judged_once():
    form = plan(takes_steps=False)
    assert form.search_s == 0
    assert form.judging_s == pytest.approx(plan().judging_s - (5 * (1 + 4) + 4) * 16 * 0.01 - 5 * 4 * 0.5)


@pytest.mark.parametrize("image_s", [0.001, 0.1, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("steps", [10, 100, 1000])
def test_default_pictures_and_judging_take_no_longer_than_the_search_or_a_minute(image_s, steps):
    found = plan(replace(PACE, image_s=image_s), replace(SEARCH, steps=steps))
    fewest = 1 + 4 * 2
    assert found.pictures_s <= max(60, found.span_s + found.search_s - found.judging_s, fewest * image_s)
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
    monkeypatch.setattr(discover, "_LONG_S", long_s)
    slow = replace(PACE, image_s=1.0 if printed else 1e-6, code_dim=8)
    monkeypatch.setattr(run_plan, "measure_pace", lambda *arguments: slow)
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
    for name in ("ffhq", "https://example.com/a.pkl", "hf://me/nets/a.pkl"):
        assert not is_on_this_machine(name)
        assert "is downloaded first" in plan_text(Options(ckpt=name))
    assert main("discover", "--ckpt", "missing.pkl", "--dry-run") == 0
    assert "not timed (no file at missing.pkl; check the path)" in capsys.readouterr().err
