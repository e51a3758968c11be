"""What the tests of the self-contained page share: its directions, and what the browser shows of it."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ganspace_topdis.traversal.names import DirectionLabel

NUM_STEPS = 5
SEEDS = ["seed 1", "seed 2", "seed 3"]
LABELS = [
    DirectionLabel(index=0, name="Red", scores={"rtd_before": 4.0, "rtd_after": 0.5}),
    DirectionLabel(index=1, name="Green", scores={"rtd_before": 3.0, "rtd_after": 0.25}),
    DirectionLabel(index=7, name="Blue", scores={"effect": 0.125}),
]

Open = Callable[..., Any]


def settle(browser: Any) -> None:
    browser.wait_for("document.getElementById('view').dataset.place !== undefined")
    browser.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 60)))")


def color(browser: Any) -> list[int]:
    """The color that the page shows: every frame here has one color."""
    settle(browser)
    return browser.run(
        "(() => { const view = document.getElementById('view');"
        " return [...view.getContext('2d').getImageData(view.width / 2, view.height / 2, 1, 1).data].slice(0, 3); })()"
    )


def rename(browser: Any, name: str, end: str = "Enter") -> None:
    """Type a name for the current direction, and end by that key."""
    for key in ("e", *name, end):
        browser.press(key)


def copied(browser: Any, button: str, part: str) -> str:
    """What the button with that id copies: the page shows it, and `part` is in it."""
    browser.click(f"#{button}")
    text = "document.getElementById('notice').textContent"
    browser.wait_for(f"{text}.includes({part!r})")
    return browser.run(text).split(": ", 1)[1]


def alt_text(browser: Any) -> str:
    return browser.run("document.getElementById('view').getAttribute('aria-label')")


def luminance(color_text: str) -> float:
    """The relative luminance of the Web Content Accessibility Guidelines 2.2."""
    channels = np.array([int(part) for part in re.findall(r"\d+", color_text)[:3]]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first: str, second: str) -> float:
    """Their contrast ratio, 1 to 21."""
    dark, light = sorted([luminance(first), luminance(second)])
    return (light + 0.05) / (dark + 0.05)
