import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.traversal.explorer import (
    FrameSource,
    build_explorer,
    content_policy,
    fill_page,
    page_data,
    page_overhead,
    write_explorer,
)
from ganspace_topdis.traversal.frames import Frames, step_values, traverse_all
from ganspace_topdis.traversal.mixing import MixedFrames, draw_mixed
from ganspace_topdis.traversal.names import DirectionLabel, DirectionName, read_names, write_names
from tests.traversal.pages import (
    LABELS,
    NUM_STEPS,
    SEEDS,
    Open,
    alt_text,
    color,
    contrast,
    copied,
    luminance,
    rename,
    settle,
)


@pytest.mark.parametrize("frames_from", ["held", "live"])
def test_a_page_allows_its_own_script_by_hash_and_no_other(frames_from: FrameSource) -> None:
    policy = content_policy(frames_from)
    assert policy in fill_page(frames_from, title="t", subtitle="", data={})
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_only_the_live_page_may_ask_its_server() -> None:
    assert "connect-src" not in content_policy("held")
    assert "connect-src 'self';" in content_policy("live")


def test_only_the_live_page_has_a_script_that_asks() -> None:
    assert "fetch(" not in fill_page("held", title="", subtitle="", data={})
    assert "fetch(" in fill_page("live", title="", subtitle="", data={})


def test_the_overhead_is_what_a_page_without_data_takes() -> None:
    page = fill_page("held", title="", subtitle="", data={})
    assert abs(len(page.encode()) - page_overhead()) < 500


def test_known_scores_come_with_their_meaning() -> None:
    labels = [DirectionLabel(index=2, name="Smile", scores={"effect": 0.5, "own_score": 1.0}, starred=True)]
    data = page_data(labels, ["seed 1"], source="abc")
    (direction,) = data["directions"]
    assert (direction["index"], direction["name"], direction["starred"]) == (2, "Smile", True)
    assert [score[:2] for score in direction["scores"]] == [("Effect", "0.500"), ("Own score", "1.00")]
    assert [name for name, _ in data["notes"]] == ["Effect"]
    assert re.search("standard deviation", direction["scores"][0][2])


def test_the_page_of_calibrated_directions_speaks_of_units(open_page: Open) -> None:
    labels = [dataclasses.replace(label, scores={"unit": 0.5}) for label in LABELS]
    browser = open_page(labels=labels)
    browser.press("End")
    assert alt_text(browser) == "Image of seed 1, moved +2 units along Red"
    assert "σ" not in browser.run("document.body.innerText")
    assert "units of the direction" in browser.run("document.getElementById('units').textContent")


EVIL = "</script><script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"


def expected(frames: Frames, direction: int, seed: int, step: int) -> list[int]:
    return frames[direction, seed, step, 16, 16].tolist()


def test_codes_of_images_are_called_images(frames: Frames) -> None:
    names = [f"image {index}" for index in range(len(SEEDS))]
    page, other = (build_explorer(frames, LABELS, step_values(2, NUM_STEPS), each) for each in (names, SEEDS))
    assert "<legend>Image</legend>" in page
    assert "previous, next image" in page
    assert "<legend>Seed</legend>" in other


def test_the_page_is_one_file_without_addresses(frames: Frames) -> None:
    page = build_explorer(frames, LABELS, step_values(2, NUM_STEPS), SEEDS)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[\w+/=]*", "", page))
    assert re.findall(r'\b(?:src|href)="([^"]*)"', page) == ["data:,"]


def test_the_policy_allows_the_pages_own_script_and_nothing_from_the_network(frames: Frames) -> None:
    page = build_explorer(frames, LABELS, step_values(2, NUM_STEPS), SEEDS)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "unsafe" not in policy[1]
    assert "http" not in policy[1]


def test_text_from_files_cannot_leave_its_place(frames: Frames) -> None:
    labels = [DirectionLabel(index=0, name=EVIL, scores={EVIL: 1.0}), *LABELS[1:]]
    page = build_explorer(frames, labels, step_values(2, NUM_STEPS), [EVIL, *SEEDS[1:]], title=EVIL, subtitle=EVIL)
    assert page.lower().count("<script") == 2
    assert page.lower().count("</script") == 2
    assert "<img" not in page


def test_text_that_looks_like_a_template_placeholder_stays_text(frames: Frames) -> None:
    page = build_explorer(frames, LABELS, step_values(2, NUM_STEPS), SEEDS, title="{{script}} {{nothing}}")
    assert "<h1>{{script}} {{nothing}}</h1>" in page


def test_a_page_keeps_to_its_size() -> None:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (3, 3, NUM_STEPS, 32, 32, 3), dtype=np.uint8)
    frames = coarse.repeat(4, axis=3).repeat(4, axis=4)
    sizes = []
    for max_bytes in (10_000_000, 300_000, 100_000):
        page = build_explorer(frames, LABELS, step_values(2, NUM_STEPS), SEEDS, max_bytes=max_bytes)
        sizes.append(len(page.encode()))
        assert sizes[-1] <= max_bytes
    assert sizes == sorted(sizes, reverse=True)


def test_frames_of_another_shape_are_refused(frames: Frames) -> None:
    with pytest.raises(InvalidArgumentError, match="frames have shape"):
        build_explorer(frames, LABELS[:2], step_values(2, NUM_STEPS), SEEDS)


def test_the_page_opens_without_errors_or_requests(open_page: Open) -> None:
    browser = open_page()
    assert browser.complaints() == []
    assert [url for url in browser.requests() if not url.startswith("file:")] == []
    assert len(browser.requests()) == 1


def test_the_page_opens_on_an_unshifted_image(open_page: Open, frames: Frames) -> None:
    browser = open_page()
    assert color(browser) == expected(frames, 0, 0, 2)
    assert alt_text(browser) == "Unshifted image of seed 1"


def test_moving_a_slider_with_the_mouse_changes_the_frame_and_its_text(open_page: Open, frames: Frames) -> None:
    browser = open_page()
    browser.click(".direction:nth-child(2) input[type=range]", across=0.98)
    assert color(browser) == expected(frames, 1, 0, 4)
    assert alt_text(browser) == "Image of seed 1, moved +2 standard deviations along Green"
    assert browser.run("document.querySelector('.direction:nth-child(2) .value').value") == "2"


def test_every_step_of_every_slider_shows_its_own_frame(open_page: Open, frames: Frames) -> None:
    browser = open_page()
    for direction in range(3):
        for step in range(NUM_STEPS):
            browser.run(
                f"(() => {{ const slider = document.querySelectorAll('.direction input[type=range]')[{direction}];"
                f" slider.value = {step - 2}; slider.dispatchEvent(new Event('input')); }})()"
            )
            assert color(browser) == expected(frames, direction, 0, step)
        browser.press("r")


def test_another_seed_keeps_the_shift(open_page: Open, frames: Frames) -> None:
    browser = open_page()
    browser.click(".direction:nth-child(1) input[type=range]", across=0.02)
    browser.click("#seeds label:nth-of-type(3) canvas")
    assert color(browser) == expected(frames, 0, 2, 0)
    assert alt_text(browser) == "Image of seed 3, moved −2 standard deviations along Red"


def test_arrows_shift_and_change_the_direction(open_page: Open, frames: Frames) -> None:
    browser = open_page()
    browser.press("ArrowRight")
    assert color(browser) == expected(frames, 0, 0, 3)
    browser.press("ArrowDown")
    assert color(browser) == expected(frames, 0, 0, 3)  # selecting changes no image
    for _ in range(4):
        browser.press("ArrowLeft")
    assert color(browser) == expected(frames, 1, 0, 0)
    browser.press("ArrowUp")
    assert alt_text(browser) == "Image of seed 1, moved −2 standard deviations along Green"


def test_number_keys_go_to_the_direction_with_that_number(open_page: Open, frames: Frames) -> None:
    browser = open_page()
    browser.press("7")
    browser.press("End")
    assert color(browser) == expected(frames, 2, 0, 4)
    browser.press("5")
    assert color(browser) == expected(frames, 2, 0, 4)


def test_letters_change_the_seed_and_reset(open_page: Open, frames: Frames) -> None:
    browser = open_page()
    browser.press("Home")
    browser.press("p")
    assert color(browser) == expected(frames, 0, 2, 0)
    browser.press("n")
    assert color(browser) == expected(frames, 0, 0, 0)
    browser.press("r")
    assert color(browser) == expected(frames, 0, 0, 2)


def test_playing_moves_the_frames_until_it_is_stopped(open_page: Open) -> None:
    browser = open_page()
    browser.press(" ")
    browser.wait_for("document.getElementById('view').dataset.place === '4'")
    browser.wait_for("document.getElementById('view').dataset.place === '0'")
    browser.press(" ")
    assert browser.run("document.getElementById('play').getAttribute('aria-pressed')") == "false"


def test_keys_typed_into_a_name_are_letters_there(open_page: Open, frames: Frames) -> None:
    browser = open_page()
    browser.click(".direction:nth-child(1) .name")
    for key in "nr7":
        browser.press(key)
    assert "nr7" in browser.run("document.querySelector('.name').value")
    assert alt_text(browser) == "Unshifted image of seed 1"


def test_two_sliders_moved_show_the_mix_of_both(open_page: Open, mixed: MixedFrames) -> None:
    browser = open_page(mixed=mixed)
    browser.press("End")
    browser.press("7")
    browser.press("ArrowLeft")
    assert color(browser) == mixed.frames[0, 2][0, 3 * 4 + 1, 16, 16].tolist()
    assert alt_text(browser) == (
        "Image of seed 1, moved +2 standard deviations along Red and −1 standard deviations along Blue"
    )


def test_the_hint_rounds_steps(browser: Any, tmp_path: Path, paint: Any, axes: Any, codes: torch.Tensor) -> None:
    frames = traverse_all(paint(3, 32, 32), codes, axes, num_steps=7, extent=1.0)
    mixed = draw_mixed(paint(3, 32, 32), codes, axes, indices=[0, 1, 2], extent=1.0, num_steps=7)
    page = build_explorer(frames, LABELS, step_values(1.0, 7), SEEDS, mixed=mixed, source="rounded")
    browser.open(write_explorer(tmp_path / "explorer.html", page))
    settle(browser)
    for key in ("End", "ArrowDown", "End"):
        browser.press(key)
    assert browser.run("document.getElementById('hint').textContent").endswith("have the steps 0 and ±0.667, ±1 σ.")


def test_three_sliders_move_to_the_steps_that_exist_and_a_hint_lists_them(open_page: Open, mixed: MixedFrames) -> None:
    browser = open_page(mixed=mixed)
    for key in ("End", "ArrowDown", "Home", "ArrowDown", "ArrowRight"):
        browser.press(key)
    assert color(browser) == mixed.frames[0, 1, 2][0, 0b101, 16, 16].tolist()
    assert values(browser) == ["1", "-1", "1"]
    assert "±1 σ" in browser.run("document.getElementById('hint').textContent")


def test_delete_takes_one_direction_back_and_keeps_the_others(
    open_page: Open, mixed: MixedFrames, frames: Frames
) -> None:
    browser = open_page(mixed=mixed)
    for key in ("End", "ArrowDown", "Home", "Delete"):
        browser.press(key)
    assert color(browser) == expected(frames, 0, 0, 4)


def test_each_combination_of_a_mix_shows_its_own_frame(open_page: Open, mixed: MixedFrames) -> None:
    browser = open_page(mixed=mixed)
    for place, (first, second) in enumerate((a, b) for a in (-2, -1, 1, 2) for b in (-2, -1, 1, 2)):
        for slider, value in ((1, first), (2, second)):
            browser.run(
                f"(() => {{ const slider = document.querySelectorAll('.direction input[type=range]')[{slider}];"
                f" slider.value = {value}; slider.dispatchEvent(new Event('input')); }})()"
            )
        assert color(browser) == mixed.frames[1, 2][0, place, 16, 16].tolist()


def values(browser: Any) -> list[str]:
    return browser.run("[...document.querySelectorAll('.direction .value')].map((value) => value.value)")


def test_a_slider_without_a_mix_is_shown_alone_and_the_others_are_kept(open_page: Open, frames: Frames) -> None:
    browser = open_page()
    for key in ("End", "ArrowDown", "End"):
        browser.press(key)
    assert color(browser) == expected(frames, 1, 0, 4)
    assert values(browser) == ["2", "2", "0"]
    assert browser.run("[...document.querySelectorAll('.aside .number')].map((each) => each.textContent)") == ["0"]
    assert "not shown" in browser.run("document.getElementById('hint').textContent")
    browser.press("Delete")
    assert color(browser) == expected(frames, 0, 0, 4)
    assert values(browser) == ["2", "0", "0"]


def test_a_direction_beyond_the_mixes_leaves_their_sliders_where_they_are(
    open_page: Open, paint: Any, axes: Any, codes: torch.Tensor, frames: Frames
) -> None:
    two = draw_mixed(paint(3, 32, 32), codes, axes, indices=[0, 1], extent=2.0, num_steps=NUM_STEPS)
    browser = open_page(mixed=two)
    for key in ("End", "1", "Home"):
        browser.press(key)
    mix = color(browser)
    browser.press("7")
    assert color(browser) == mix
    browser.press("End")
    assert color(browser) == expected(frames, 2, 0, 4)
    assert values(browser) == ["2", "-2", "2"]
    browser.press("Delete")
    assert color(browser) == mix


def press_with(browser: Any, key: str, *, shift: bool = False) -> None:
    """Press a key with Ctrl held, and Shift if asked."""
    modifiers = 2 + 8 * shift
    for kind in ("keyDown", "keyUp"):
        browser.send("Input.dispatchKeyEvent", type=kind, key=key, modifiers=modifiers)


def test_undo_and_redo_go_through_shifts_seeds_and_resets(open_page: Open, frames: Frames) -> None:
    browser = open_page()
    shown = [color(browser)]
    for key in ("End", "n", "r"):
        browser.press(key)
        shown.append(color(browser))
    for before in reversed(shown[:-1]):
        press_with(browser, "z")
        assert color(browser) == before
    assert browser.run("document.getElementById('undo').disabled")
    for after in shown[1:]:
        press_with(browser, "Z", shift=True)
        assert color(browser) == after
    browser.click("#undo")
    assert color(browser) == expected(frames, 0, 1, 4)


def test_the_original_is_shown_while_it_is_held(open_page: Open, frames: Frames) -> None:
    browser = open_page()
    browser.press("End")
    browser.send("Input.dispatchKeyEvent", type="keyDown", key="o", text="o")
    assert color(browser) == expected(frames, 0, 0, 2)
    assert alt_text(browser) == "Unshifted image of seed 1"
    browser.send("Input.dispatchKeyEvent", type="keyUp", key="o")
    assert color(browser) == expected(frames, 0, 0, 4)


def test_a_typed_value_moves_to_the_nearest_step_and_escape_takes_it_back(open_page: Open, frames: Frames) -> None:
    browser = open_page()
    browser.click(".direction:nth-child(2) .value")
    browser.run("document.activeElement.select()")
    for key in "1.2":
        browser.press(key)
    browser.press("Escape")
    assert values(browser) == ["0", "0", "0"]
    browser.click(".direction:nth-child(2) .value")
    browser.run("document.activeElement.select()")
    for key in "1.2":
        browser.press(key)
    browser.click("h1")
    assert values(browser) == ["0", "1", "0"]
    assert color(browser) == expected(frames, 1, 0, 3)


def test_the_command_and_the_link_are_those_of_the_image(open_page: Open, frames: Frames, tmp_path: Path) -> None:
    browser = open_page(command="topdis-gan edit --directions runs/a --truncation-psi 0.7")
    for key in ("n", "7", "Home"):
        browser.press(key)
    told = copied(browser, "copy-command", "topdis-gan edit")
    assert told == "topdis-gan edit --directions runs/a --truncation-psi 0.7 --seeds 2 --set 7=-2"
    address = copied(browser, "copy-link", "#")
    browser.open(address)
    assert color(browser) == expected(frames, 2, 1, 0)
    assert browser.complaints() == []


def test_a_link_with_nonsense_opens_the_page_as_it_is(open_page: Open, frames: Frames, tmp_path: Path) -> None:
    browser = open_page()
    browser.open((tmp_path / "explorer.html").as_uri() + "#seed=x&set=99=1&set=0=nan&set=&lead=-3&psi=9&layers=a")
    assert color(browser) == expected(frames, 0, 0, 2)
    assert browser.complaints() == []


def test_small_images_are_enlarged_without_smoothing(open_page: Open) -> None:
    browser = open_page()
    assert browser.run("getComputedStyle(document.getElementById('view')).imageRendering") == "pixelated"


def test_escape_cancels_a_rename(open_page: Open) -> None:
    browser = open_page()
    rename(browser, "Sky", end="Escape")
    assert browser.run("document.querySelector('.name').value") == "Red"
    browser.press("End")
    assert alt_text(browser) == "Image of seed 1, moved +2 standard deviations along Red"


def test_starred_only_leaves_the_starred_and_arrows_skip_the_others(open_page: Open) -> None:
    browser = open_page()
    browser.press("7")
    browser.press("s")
    browser.press("0")
    browser.press("s")
    browser.click("#only-starred")
    shown = "[...document.querySelectorAll('.direction')].map((row) => row.hidden)"
    assert browser.run(shown) == [False, True, False]
    browser.press("ArrowDown")
    assert browser.run("document.querySelector('.current .number').textContent") == "7"


def test_a_name_is_edited_by_keyboard_alone(open_page: Open) -> None:
    browser = open_page()
    rename(browser, "Sky")
    browser.press("End")
    assert alt_text(browser) == "Image of seed 1, moved +2 standard deviations along Sky"


def test_scores_stand_beside_their_direction(open_page: Open) -> None:
    browser = open_page()
    texts = browser.run("[...document.querySelectorAll('.scores')].map((scores) => scores.textContent)")
    assert texts == ["RTD before4.00RTD after0.500", "RTD before3.00RTD after0.250", "Effect0.125"]


def test_renamed_and_starred_directions_are_saved_as_read_names_reads_them(open_page: Open, tmp_path: Path) -> None:
    browser = open_page()
    browser.run(
        "(() => { const name = document.querySelectorAll('.name')[2]; name.value = 'Sky <b>';"
        " name.dispatchEvent(new Event('change')); })()"
    )
    browser.click(".direction:nth-child(2) .star")
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "saved"))
    browser.click("#save-names")
    path = tmp_path / "saved" / "names.json"
    browser.wait_for("true")
    for _ in range(200):
        if path.exists():
            break
        browser.run("new Promise((done) => setTimeout(done, 20))")
    names = read_names(path, num_directions=8)
    assert {index: (name.name, name.starred) for index, name in names.items()} == {
        0: ("", False),
        1: ("", True),
        7: ("Sky <b>", False),
    }
    assert json.loads(path.read_text(encoding="utf-8"))["format"] == "topdis-gan names"


def test_marks_stand_beside_a_name_that_was_typed(open_page: Open) -> None:
    browser = open_page([dataclasses.replace(LABELS[0], marks=("hue?", "chance level")), *LABELS[1:]])
    marks = "[...document.querySelectorAll('.marks')].map((each) => each.innerText)"
    assert browser.run(marks) == ["hue?, chance level", "", ""]
    rename(browser, "Sky")
    assert browser.run(marks) == ["hue?, chance level", "", ""]
    assert (
        browser.run("document.getElementById('traversal-title').textContent") == "Traversal of Sky (hue?, chance level)"
    )
    browser.run("document.querySelector('.name').value = ''")
    browser.run("document.querySelector('.name').dispatchEvent(new Event('change'))")
    assert browser.run("document.querySelector('.name').value") == "Red"


def test_an_earlier_names_file_brings_typed_names_and_stars_but_no_stale_marks(open_page: Open, tmp_path: Path) -> None:
    browser = open_page([dataclasses.replace(LABELS[0], marks=("hue?",)), *LABELS[1:]])
    saved = {
        0: DirectionName(name="Red (hue, chance level)", starred=True),
        1: DirectionName(name="Green (mine)"),
        7: DirectionName(name="", starred=True),
    }
    path = write_names(tmp_path / "earlier.json", saved)
    root = browser.send("DOM.getDocument")["root"]["nodeId"]
    node = browser.send("DOM.querySelector", nodeId=root, selector="#names-file")["nodeId"]
    browser.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])
    browser.wait_for("document.getElementById('notice').textContent.includes('loaded')")
    assert browser.run("[...document.querySelectorAll('.name')].map((each) => each.value)") == [
        "Red",
        "Green (mine)",
        "Blue",
    ]
    stars = "[...document.querySelectorAll('.star')].map((star) => star.getAttribute('aria-pressed'))"
    assert browser.run(stars) == ["true", "false", "true"]


def test_names_survive_a_reload(open_page: Open) -> None:
    browser = open_page(source="reload")
    browser.press("s")
    browser.run("window.beforeReload = 1")
    browser.send("Page.reload")
    browser.wait_for("!window.beforeReload && document.readyState === 'complete' && document.querySelector('.star')")
    settle(browser)
    assert browser.run("document.querySelector('.star').getAttribute('aria-pressed')") == "true"


def test_hostile_names_are_shown_and_not_run(open_page: Open) -> None:
    labels = [DirectionLabel(index=0, name=EVIL, scores={EVIL: 1.0}), *LABELS[1:]]
    browser = open_page(labels, title=EVIL)
    assert browser.run("document.title").startswith("</script>")
    assert browser.run("document.querySelector('h1').textContent") == EVIL
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert browser.complaints() == []


@pytest.mark.parametrize("width_px", [320, 400, 820, 1280])
def test_no_width_needs_sideways_scrolling(open_page: Open, width_px: int) -> None:
    browser = open_page([DirectionLabel(index=0, name="long " * 40), *LABELS[1:]], title="long" * 40)
    browser.resize(width_px, 800)
    settle(browser)
    assert browser.run("document.documentElement.scrollWidth") <= width_px


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(open_page: Open, scheme: str) -> None:
    browser = open_page()
    browser.color_scheme(scheme)
    ink, gray, paper = browser.run(
        "(() => { const style = (query, name) => getComputedStyle(document.querySelector(query))[name];"
        " return [style('body', 'color'), style('#subtitle', 'color'), style('body', 'backgroundColor')]; })()"
    )
    assert contrast(ink, paper) > 10
    assert contrast(gray, paper) > 4.5
    assert (luminance(paper) < 0.5) == (scheme == "dark")


def test_every_control_has_an_accessible_name(open_page: Open) -> None:
    browser = open_page()
    browser.send("Accessibility.enable")
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"slider", "button", "radio", "textbox", "checkbox", "image"}
    controls = [node for node in nodes if not node["ignored"] and node["role"]["value"] in roles]
    assert {node["role"]["value"] for node in controls} >= roles
    assert [node for node in controls if not node["name"]["value"].strip()] == []
