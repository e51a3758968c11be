"""A short visit to both pages of a small run, by the script that makes long ones."""

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganspace_topdis.runs.files import write_json
from tests.stylegan2.commands.found_directions import main as command_line
from tests.stylegan2.commands.found_directions import write_found
from tests.traversal.conftest import browser  # noqa: F401  (a fixture)

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import page_actions


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of calibrated directions with its page, as discover makes it."""
    folder = tmp_path_factory.mktemp("visited")
    ckpt, _, _ = write_found(folder, units=(0.4, 1.0, 1.7))
    write_json(folder / "config.json", {"command": "discover", "config": {"ckpt": str(ckpt)}})
    given = ("--directions", str(folder), "--format", "html", "--seeds", "0-1", "--mix", "2", "--out", str(folder))
    assert command_line("traverse", *given) == 0
    next(folder.glob("explorer_*.html")).rename(folder / "explorer.html")
    return folder


def visit_page(browser: Any, run_folder: Path, folder: Path, name: str, num_actions: int) -> list[str]:  # noqa: F811
    with page_actions.pages(run_folder) as addresses:
        visit = page_actions.Visit(browser, addresses[name], run_folder, folder / "saved", random.Random(5))
        wrong = visit.act(num_actions)
        browser.open("about:blank")
    assert visit.num_compared >= num_actions
    return wrong


@pytest.mark.parametrize("name", ["explorer.html", "live page"])
def test_every_image_of_a_visit_is_the_one_that_edit_makes(
    browser: Any,  # noqa: F811
    run_folder: Path,
    tmp_path: Path,
    name: str,
) -> None:
    assert visit_page(browser, run_folder, tmp_path, name, 16) == []


def test_a_wrong_image_is_found(
    browser: Any,  # noqa: F811
    run_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edited = page_actions.edited
    monkeypatch.setattr(page_actions, "edited", lambda *given: np.clip(edited(*given).astype(int) + 2, 0, 255))
    wrong = visit_page(browser, run_folder, tmp_path, "live page", 2)
    assert len(wrong) == 2
    assert "differs by up to 2 levels" in wrong[0]
