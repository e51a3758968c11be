from pathlib import Path

import pytest

from ganspace_topdis.errors import InvalidArgumentError
from vae.suite.checks import data_root_for, faults_of_settings
from vae.suite.grid import parse_grid

FAULTY = """
name = "faulty"
seeds = [0]
metrics = ["mig", "mgi"]
[base]
data = "celeba"
[axes.method.A]
method = "auto-vae"
[axes.method.B]
method = "beta-vae"
options = { gamma = 3.0 }
[axes.method.C]
method = "beta-vae"
steps = -1
[axes.method.D]
method = "beta-vae"
[axes.method.F]
method = "beta-vae"
"""


def test_good_settings_have_no_faults() -> None:
    assert faults_of_settings({"data": "dsprites", "topdis": {"weight": 5.0}}, ["mig"]) == []


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"stpes": 5}, "unknown setting 'stpes' (nearest: steps)"),
        ({"seed": 5}, "seed belongs to the suite"),
        ({"topdis": 5.0}, "topdis must be a table"),
        ({"topdis": {"wight": 5.0}}, "unknown topdis setting 'wight' (nearest: weight)"),
        ({"topdis": {"weight": -5.0}}, "topdis weight is -5.0"),
        ({"data": "dsprite"}, "data set 'dsprite' is unknown"),
        ({"method": "gan"}, "method is 'gan'"),
        ({"steps": "many"}, "steps is 'many'"),
    ],
)
def test_a_fault_is_named(settings: dict[str, object], fault: str) -> None:
    assert fault in " ".join(faults_of_settings(settings, None))


def test_two_faults_of_one_cell_are_both_named() -> None:
    assert len(faults_of_settings({"stpes": 5, "seed": 1}, None)) == 2


def test_supervised_metrics_of_a_set_without_factors_are_a_fault_and_none_are_not() -> None:
    assert "celeba has no known factors, so mig" in faults_of_settings({"data": "celeba"}, ["mig", "unsupervised"])[0]
    assert faults_of_settings({"data": "celeba"}, None) == []


def test_only_sets_that_are_read_from_files_get_the_data_root() -> None:
    assert data_root_for({"data": "3dshapes:shape=2"}, Path("here")) == Path("here")
    assert data_root_for({"data": "dsprites"}, Path("here")) is None


def test_everything_wrong_with_a_grid_is_said_in_one_message() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_grid(FAULTY, faults_of_settings)
    message = str(caught.value)
    parts = ("'mgi'", "A: method is 'auto-vae'", "B: option 'gamma'", "C: steps is -1", "no known factors", "F is the")
    for part in parts:
        assert part in message
