from pathlib import Path

import pytest

from ganspace_topdis.errors import InvalidArgumentError
from vae.suite.checks import faults_of_settings, train_settings
from vae.suite.presets import find_grid, preset_names

PROMISED = {
    "quick",
    "paper-dsprites",
    "paper-3dshapes",
    "paper-mpi3d",
    "paper-3dfaces",
    "celeba",
    "correlated",
    "ablation-gamma",
    "ablation-shift",
    "ablation-orthogonal",
    "control-losses",
}


def test_every_promised_preset_is_there() -> None:
    assert set(preset_names()) == PROMISED


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_a_preset_has_no_faults_and_is_called_what_it_is(name: str) -> None:
    grid = find_grid(name, faults_of_settings)
    assert grid.name == name
    assert grid.axis == "variant"
    assert all(train_settings(cell.settings, seed=cell.seed).seed == cell.seed for cell in grid.cells)


@pytest.mark.parametrize("name", sorted(PROMISED - {"quick", "ablation-orthogonal", "control-losses"}))
def test_a_preset_of_the_paper_says_what_is_not_verified(name: str) -> None:
    assert "nverified" in " ".join(find_grid(name, faults_of_settings).notes)


def test_quick_is_two_methods_with_and_without_topdis_over_three_seeds() -> None:
    cells = find_grid("quick", faults_of_settings).cells
    assert len(cells) == 12
    assert {cell.settings["method"] for cell in cells} == {"beta-vae", "factor-vae"}
    assert sum("topdis" in cell.settings for cell in cells) == 6


def test_what_is_neither_a_preset_nor_a_file_is_refused_with_the_presets_named() -> None:
    with pytest.raises(InvalidArgumentError, match=r"neither a preset .*paper-mpi3d"):
        find_grid("papers", faults_of_settings)


def test_a_file_is_read_like_a_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nseeds = [7]\n[axes.method.VAE]\nmethod = "vae"\n')
    assert [cell.name for cell in find_grid(str(file), faults_of_settings).cells] == ["vae--seed-7"]
