from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ganspace_topdis.errors import InvalidArgumentError
from vae.suite.grid import parse_grid, read_grid

GRID = """
name = "example"
seeds = [0, 1]
compare = { axis = "variant", baseline = "plain" }
[base]
data = "dsprites"
topdis = { p = 2 }
[axes.method.beta-VAE]
method = "beta-vae"
[axes.method.FactorVAE]
method = "factor-vae"
[axes.variant.plain]
[axes.variant.TopDis]
topdis = { gamma = 5 }
[[where]]
labels = { method = "FactorVAE", variant = "TopDis" }
settings = { topdis = { gamma = 6 } }
"""


def no_faults(settings: Mapping[str, Any], metrics: Sequence[str] | None) -> list[str]:
    return []


def faults_of(text: str) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_grid(text, no_faults)
    return str(caught.value)


def test_axes_are_crossed_with_each_other_and_with_the_seeds() -> None:
    grid = parse_grid(GRID, no_faults)
    assert [cell.name for cell in grid.cells][:3] == [
        "beta-vae--plain--seed-0",
        "beta-vae--plain--seed-1",
        "beta-vae--topdis--seed-0",
    ]
    assert len(grid.cells) == 8


def test_labels_override_the_base_and_where_overrides_both_within_tables() -> None:
    settings = {cell.name: cell.settings for cell in parse_grid(GRID, no_faults).cells}
    assert settings["beta-vae--plain--seed-0"]["topdis"] == {"p": 2}
    assert settings["beta-vae--topdis--seed-0"]["topdis"] == {"p": 2, "gamma": 5}
    assert settings["factorvae--topdis--seed-1"]["topdis"] == {"p": 2, "gamma": 6}


def test_all_faults_of_form_come_at_once() -> None:
    message = faults_of('nmae = "x"\nseeds = [0, 0]\nmetrics = "mig"\n')
    for part in ("5 faults", "unknown key 'nmae'", "seed 0 is there twice", "name must", "metrics must", "axes are"):
        assert part in message


def test_all_faults_of_content_come_at_once() -> None:
    text = GRID.replace("[base]", 'metrics = ["mgi"]\n[base]').replace('baseline = "plain"', 'baseline = "none"')
    text = text.replace('labels = { method = "FactorVAE"', 'labels = { method = "AutoVAE"')

    def check(settings: Mapping[str, Any], metrics: Sequence[str] | None) -> list[str]:
        return ["steps are missing"] if settings["method"] == "factor-vae" else []

    with pytest.raises(InvalidArgumentError) as caught:
        parse_grid(text, check)
    message = str(caught.value)
    for part in (
        "unknown metric 'mgi'",
        "FactorVAE, plain and 1 more: steps",
        "method = 'AutoVAE'",
        "variant = 'none'",
    ):
        assert part in message
    assert "\n" not in message


def test_a_fault_of_several_settings_and_seeds_is_named_once() -> None:
    with pytest.raises(InvalidArgumentError, match=r"1 fault: beta-VAE, plain and 3 more: bad$"):
        parse_grid(GRID, lambda settings, metrics: ["bad"])


def test_two_labels_that_train_the_same_are_a_duplicate() -> None:
    message = faults_of(GRID.replace("topdis = { gamma = 5 }\n[[where]]", "[[where]]"))
    assert "beta-VAE, TopDis is the same training as beta-VAE, plain" in message


def test_labels_whose_folders_would_collide_are_a_duplicate() -> None:
    message = faults_of(GRID.replace("[axes.method.FactorVAE]", '[axes.method."Beta VAE"]').split("[[where]]")[0])
    assert "would both be called 'beta-vae--plain--seed-0'" in message


@pytest.mark.parametrize("seeds", ["[]", "[-1]", "[true]", '["0"]', "3", "[1.5]"])
def test_seeds_are_whole_numbers(seeds: str) -> None:
    assert "seeds must be a list" in faults_of(GRID.replace("[0, 1]", seeds))


def test_a_file_that_is_no_toml_or_not_there_is_said_so(tmp_path: Path) -> None:
    assert "no valid TOML" in faults_of("name = ")
    with pytest.raises(InvalidArgumentError, match="cannot be read: No such file"):
        read_grid(tmp_path / "no.toml", no_faults)
