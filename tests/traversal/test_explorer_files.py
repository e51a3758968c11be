"""What the page saves and opens, and how it looks and moves: the rest of its tests is in test_explorer.py."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganspace_topdis.traversal.explorer import build_explorer, write_explorer
from ganspace_topdis.traversal.frames import Frames, step_values
from ganspace_topdis.traversal.mixing import MixedFrames
from ganspace_topdis.traversal.names import read_names
from tests.traversal.pages import LABELS, NUM_STEPS, SEEDS, Open, alt_text, color, contrast, copied, rename, settle


def saved(browser: Any, button: str, folder: Path) -> Path:
    """Click a button that saves a file, and wait for the file."""
    before = set(folder.glob("*"))
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    browser.click(button)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        browser.run("0")
        new = {path for path in set(folder.glob("*")) - before if path.suffix != ".crdownload"}
        if new:
            return new.pop()
        time.sleep(0.02)
    raise AssertionError(f"{button} saved nothing")


def open_file(browser: Any, path: Path) -> None:
    """Choose a file in the page's dialog."""
    root = browser.send("DOM.getDocument")["root"]["nodeId"]
    node = browser.send("DOM.querySelector", nodeId=root, selector="#names-file")["nodeId"]
    browser.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])


def notice(browser: Any) -> str:
    return browser.run("document.getElementById('notice').hidden ? '' : document.getElementById('notice').textContent")


def names(browser: Any) -> list[str]:
    return browser.run("[...document.querySelectorAll('.name')].map((name) => name.value)")


def test_the_saved_image_has_the_pixels_of_the_page_and_its_settings_as_a_name(
    open_page: Open, mixed: MixedFrames, tmp_path: Path
) -> None:
    browser = open_page(mixed=mixed)
    for key in ("n", "End", "7", "Home"):
        browser.press(key)
    path = saved(browser, "#save-image", tmp_path)
    assert path.name == "seed_2_set_0=+2,7=-2.png"
    np.testing.assert_array_equal(np.asarray(Image.open(path).convert("RGB")), mixed.frames[0, 2][1, 3 * 4 + 0])


def test_the_saved_strip_has_every_frame_of_the_selected_direction(
    open_page: Open, frames: Frames, tmp_path: Path
) -> None:
    browser = open_page()
    browser.press("1")
    path = saved(browser, "#save-strip", tmp_path)
    assert path.name == "direction_1_seed_1.png"
    strip = np.asarray(Image.open(path).convert("RGB"))
    assert strip.shape == (96 + 2 * 22 + 2 * 12, NUM_STEPS * (96 + 6) - 6 + 2 * 12, 3)
    for step in range(NUM_STEPS):
        cell = strip[12 + 22 : 12 + 22 + 96, 12 + step * 102 : 12 + step * 102 + 96]
        assert (cell == frames[1, 0, step, 0, 0]).all()
    assert (strip[:34] < 128).any(), "it has no heading"


def test_names_are_opened_and_undone(open_page: Open, tmp_path: Path) -> None:
    browser = open_page(source="opened")
    entries = {"1": {"name": "  Leaf ", "starred": True}, "7": {"name": "Sky"}, "3": {"name": "of no direction here"}}
    path = tmp_path / "names.json"
    path.write_text(json.dumps({"format": "topdis-gan names", "source": "opened", "directions": entries}))
    open_file(browser, path)
    browser.wait_for("!document.getElementById('notice').hidden")
    assert notice(browser) == "Names of 2 directions loaded; Undo takes them back."
    assert names(browser) == ["Red", "Leaf", "Sky"]
    assert browser.run("[...document.querySelectorAll('.star')].map((star) => star.ariaPressed)") == [
        "false",
        "true",
        "false",
    ]
    browser.click("#undo")
    assert names(browser) == ["Red", "Green", "Blue"]
    browser.click("#redo")
    assert json.loads(saved(browser, "#save-names", tmp_path / "kept").read_text())["directions"] == {
        "0": {"name": "", "starred": False},  # nobody typed its name
        "1": {"name": "Leaf", "starred": True},
        "7": {"name": "Sky", "starred": False},
    }


def test_a_long_name_is_cut_between_letters(open_page: Open, tmp_path: Path) -> None:
    browser = open_page(source="opened")
    path = tmp_path / "names.json"
    long = "a" + 250 * "\N{GRINNING FACE}"
    content = {"format": "topdis-gan names", "source": "opened", "directions": {"0": {"name": long}}}
    path.write_text(json.dumps(content))
    open_file(browser, path)
    browser.wait_for("!document.getElementById('notice').hidden")
    kept = saved(browser, "#save-names", tmp_path / "kept")
    assert read_names(kept)[0].name == long[:200]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is not JSON"),
        ("[]", "no page saved it"),
        ('{"format": "topdis-gan names", "directions": null}', "no page saved it"),
        ('{"format": "topdis-gan names", "source": "x", "directions": {}}', "saved for other directions"),
    ],
)
def test_files_that_are_no_names_of_these_directions_are_refused(
    open_page: Open, tmp_path: Path, text: str, reason: str
) -> None:
    browser = open_page()
    path = tmp_path / "other.json"
    path.write_text(text)
    open_file(browser, path)
    browser.wait_for("!document.getElementById('notice').hidden")
    assert reason in notice(browser)
    assert names(browser) == ["Red", "Green", "Blue"]
    browser.click("#notice button")
    assert notice(browser) == ""


def test_a_rename_and_a_star_can_be_undone(open_page: Open) -> None:
    browser = open_page()
    rename(browser, "Sky")
    browser.press("s")
    assert browser.run("document.querySelector('.star').ariaPressed") == "true"
    browser.click("#undo")
    assert browser.run("document.querySelector('.star').ariaPressed") == "false"
    browser.click("#undo")
    assert names(browser)[0] == "Red"


def test_keys_of_one_letter_or_digit_can_be_turned_off_and_the_page_remembers_it(open_page: Open) -> None:
    browser = open_page()
    browser.click("#character-keys")
    browser.click("h1")
    for key in ("n", "s", "7", "ArrowRight"):
        browser.press(key)
    assert alt_text(browser) == "Image of seed 1, moved +1 standard deviations along Red"
    assert browser.run("document.querySelector('.star').ariaPressed") == "false"
    browser.run("window.beforeReload = 1")
    browser.send("Page.reload")
    browser.wait_for("!window.beforeReload && document.readyState === 'complete' && document.querySelector('.star')")
    assert not browser.run("document.getElementById('character-keys').checked")
    browser.click("#character-keys")
    browser.press("n")
    assert alt_text(browser) == "Unshifted image of seed 2"


def test_playing_is_slow_for_those_who_prefer_reduced_motion(open_page: Open) -> None:
    browser = open_page()
    places = "new Promise((done) => setTimeout(() => done(document.getElementById('view').dataset.place), 700))"
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    try:
        browser.press(" ")
        assert browser.run(places) == "2"
        browser.wait_for("document.getElementById('view').dataset.place === '3'")
        browser.press(" ")
    finally:
        browser.send("Emulation.setEmulatedMedia", features=[])
    browser.press("r")
    browser.press(" ")
    browser.wait_for("document.getElementById('view').dataset.place === '0'")
    browser.press(" ")


def test_selecting_a_direction_changes_no_pixel_of_compressed_images(browser: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (3, 1, NUM_STEPS, 256, 256, 3), dtype=np.uint8)
    noise[:, :, 2] = noise[0, 0, 2]  # walks share their unshifted frame
    page = build_explorer(noise, LABELS, step_values(2, NUM_STEPS), SEEDS[:1], source="noise")
    browser.open(write_explorer(tmp_path / "noise.html", page))
    pixels = "document.getElementById('view').toDataURL()"
    settle(browser)
    before = browser.run(pixels)
    for key in ("1", "7", "0"):
        browser.press(key)
        settle(browser)
        assert browser.run(pixels) == before


PLACES = """
(() => {
  scrollTo(0, 0);
  const watched = "#view, #caption-line, #seeds, #film, .direction, header button, #save-strip";
  return [...document.querySelectorAll(watched)].map((each) => {
    const box = each.getBoundingClientRect();
    return [box.left, box.top, box.width, box.height].map(Math.round).join(" ");
  });
})()
"""


@pytest.mark.parametrize("width_px", [400, 1400])
def test_nothing_moves_while_the_page_is_used(open_page: Open, mixed: MixedFrames, width_px: int) -> None:
    long = [dataclasses.replace(label, name=f"A name of some length, number {label.index}") for label in LABELS]
    browser = open_page(long, mixed=mixed, command="topdis-gan edit --directions runs/a")
    browser.resize(width_px, 800)
    settle(browser)
    places = browser.run(PLACES)
    for key in ("End", "7", "Home", "1", "End", "n", "r", "o"):
        browser.press(key)
        settle(browser)
        assert browser.run(PLACES) == places, key
    browser.press("End")
    browser.click("#copy-command")
    browser.wait_for("!document.getElementById('notice').hidden")
    assert browser.run(PLACES) == places


TEXTS = """
(() => {
  const found = [];
  const opaque = (element) => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (!/, 0\\)$|transparent/.test(color)) return color;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  for (const each of document.querySelectorAll("body *")) {
    const hasText = [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const isShown = each.checkVisibility({ visibilityProperty: true }) && !each.closest("[disabled], script, noscript");
    if (!isShown || !(hasText || each.matches("input:not([type=range])"))) continue;
    found.push([each.id || each.className || each.tagName, getComputedStyle(each).color, opaque(each)]);
  }
  return found;
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_on_the_page_has_the_contrast_of_the_guidelines(open_page: Open, scheme: str) -> None:
    browser = open_page()
    browser.color_scheme(scheme)
    try:
        texts = browser.run(TEXTS)
    finally:
        browser.color_scheme("light")
    assert len(texts) > 40
    low = {name: ratio for name, ink, paper in texts if (ratio := contrast(ink, paper)) < 4.5}
    assert low == {}


def test_what_has_the_focus_can_be_seen(open_page: Open) -> None:
    browser = open_page()
    shown: dict[str, str] = {}
    for _ in range(60):
        browser.send("Input.dispatchKeyEvent", type="rawKeyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        browser.send("Input.dispatchKeyEvent", type="keyUp", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        name, outline = browser.run(
            "(() => { const e = document.activeElement, style = getComputedStyle(e);"
            " const drawn = (e.type === 'radio' ? getComputedStyle(e.nextElementSibling) : style).outlineWidth;"
            " return [e.id || e.className || e.type || e.tagName, e.type === 'range' ? '2px' : drawn]; })()"
        )
        shown.setdefault(name, outline)
    assert {"reset", "play", "save-strip", "only-starred", "name", "star", "value zero", "range"} <= set(shown)
    assert [name for name, outline in shown.items() if outline in ("0px", "") and name != "BODY"] == []


def test_the_keyboard_map_is_folded_on_a_narrow_window(browser: Any, open_page: Open, tmp_path: Path) -> None:
    open_page()
    for width_px, is_open in ((400, False), (1400, True)):
        browser.open(tmp_path / "explorer.html", width_px, 800)
        settle(browser)
        assert browser.run("document.getElementById('keys').open") == is_open


def test_a_command_comes_with_what_its_reader_must_know(open_page: Open) -> None:
    browser = open_page(command="topdis-gan edit --directions runs/a", command_note="run it beside runs")
    browser.press("End")
    browser.click("#copy-command")
    browser.wait_for("!document.getElementById('notice').hidden")
    assert notice(browser).endswith("--seeds 1 --set 0=+2 (run it beside runs)")
    assert color(browser)


def test_a_link_keeps_which_of_two_directions_without_a_mix_is_shown(open_page: Open, frames: Frames) -> None:
    browser = open_page()
    for key in ("End", "7", "End", "0", "ArrowLeft"):
        browser.press(key)
    assert color(browser) == frames[0, 0, 3, 16, 16].tolist()
    browser.open(copied(browser, "copy-link", "#"))
    assert color(browser) == frames[0, 0, 3, 16, 16].tolist()
