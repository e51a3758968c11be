from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from vae.settings import TrainSettings
from vae.suite.grid import Grid, data_root_for
from vae.suite.grid_file import (
    GridFileError,
    _build_grid,
    find_grid,
    parse_grid,
    preset_names,
    read_grid,
    validate_settings,
)

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
topdis = { weight = 7.0 }
[[where]]
labels = { method = "FactorVAE", variant = "TopDis" }
settings = { topdis = { weight = 6.0 } }
"""
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
PRESETS = {
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
    "replication",
    "replication-strength",
    "replication-weight",
}
CHOICES = {"replication-strength", "replication-weight"}


def errors_of(text: str) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_grid(text)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_axes_are_crossed_with_each_other_and_with_the_seeds() -> None:
    grid = parse_grid(GRID)
    assert [cell.name for cell in grid.cells][:3] == [
        "beta-vae--plain--seed-0",
        "beta-vae--plain--seed-1",
        "beta-vae--topdis--seed-0",
    ]
    assert len(grid.cells) == 8


def test_labels_override_the_base_and_where_overrides_both_within_tables() -> None:
    settings = {cell.name: cell.settings for cell in parse_grid(GRID).cells}
    assert settings["beta-vae--plain--seed-0"]["topdis"] == {"p": 2}
    assert settings["beta-vae--topdis--seed-0"]["topdis"] == {"p": 2, "weight": 7.0}
    assert settings["factorvae--topdis--seed-1"]["topdis"] == {"p": 2, "weight": 6.0}


def test_where_takes_several_labels_of_an_axis() -> None:
    text = GRID.replace('method = "FactorVAE", variant', 'method = ["beta-VAE", "FactorVAE"], variant')
    settings = {cell.name: cell.settings for cell in parse_grid(text).cells}
    assert settings["beta-vae--topdis--seed-0"]["topdis"] == settings["factorvae--topdis--seed-1"]["topdis"]
    assert settings["beta-vae--topdis--seed-0"]["topdis"] == {"p": 2, "weight": 6.0}
    assert settings["beta-vae--plain--seed-0"]["topdis"] == {"p": 2}
    assert "method = 'VAE', which does not exist" in errors_of(text.replace('["beta-VAE"', '["VAE"'))


def test_the_example_in_the_documentation_is_a_grid_without_errors() -> None:
    from vae.suite import grid_file

    lines = (grid_file.__doc__ or "").splitlines()
    example = "\n".join(line for line in lines if line.startswith("    ") or not line)
    topdis = [cell.settings["topdis"] for cell in parse_grid(example).cells if cell.labels["variant"] == "TopDis"]
    assert topdis == [{"weight": 5.0, "delay": 1000}] * 3


def test_all_errors_of_form_are_reported_at_once() -> None:
    message = errors_of('nmae = "x"\nseeds = [0, 0]\nmetrics = "mig"\n')
    parts = (
        "5 errors",
        "unknown key 'nmae'",
        "seed 0 is listed twice",
        "name must",
        "metrics must",
        "axes are missing",
    )
    for part in parts:
        assert part in message


def test_all_errors_of_content_are_reported_at_once() -> None:
    message = errors_of(FAULTY)
    for part in (
        "'mgi'",
        "A: method is 'auto-vae'",
        "B: beta-vae has no option gamma",
        "C: steps is -1",
        "no known factors",
        "F is the same training as D",
    ):
        assert part in message


def test_names_that_do_not_exist_are_reported() -> None:
    text = GRID.replace('baseline = "plain"', 'baseline = "none"')
    message = errors_of(text.replace('labels = { method = "FactorVAE"', 'labels = { method = "AutoVAE"'))
    assert "method = 'AutoVAE'" in message
    assert "variant = 'none'" in message


def test_an_error_of_several_settings_and_seeds_is_reported_once() -> None:
    message = errors_of(GRID.replace('data = "dsprites"', "steps = -1"))
    assert "1 error: beta-VAE, plain and 3 more: steps is -1" in message


def test_two_labels_that_train_the_same_are_a_duplicate() -> None:
    message = errors_of(GRID.replace("topdis = { weight = 7.0 }\n[[where]]", "[[where]]"))
    assert "beta-VAE, TopDis is the same training as beta-VAE, plain" in message


def test_a_whole_number_with_and_without_a_point_is_the_same_training() -> None:
    both = """
        name = "both"
        seeds = [0]
        [axes.variant.whole]
        method = "beta-vae"
        options = { beta = 4 }
        [axes.variant.point]
        method = "beta-vae"
        options = { beta = 4.0 }
    """
    assert "point is the same training as whole" in errors_of(both)


def test_labels_too_long_for_a_folder_are_refused() -> None:
    message = errors_of(GRID.replace("[axes.method.beta-VAE]", f'[axes.method."{"long " * 50}"]'))
    assert "too long for the name of a folder" in message


def test_a_default_given_by_name_is_the_same_training() -> None:
    message = errors_of(GRID.replace("topdis = { weight = 7.0 }\n[[where]]", "num_latents = 10\n[[where]]"))
    assert "beta-VAE, TopDis is the same training as beta-VAE, plain" in message


def test_labels_whose_folders_would_collide_are_a_duplicate() -> None:
    message = errors_of(GRID.replace("[axes.method.FactorVAE]", '[axes.method."Beta VAE"]').split("[[where]]")[0])
    assert "would both be called 'beta-vae--plain--seed-0'" in message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        *(
            ("seeds = [0, 1]", f"seeds = {seeds}", "seeds must be a list")
            for seeds in ("[]", "[-1]", "[true]", '["0"]')
        ),
        *(("seeds = [0, 1]", f"seeds = {seeds}", "seeds must be a list") for seeds in ("3", "[1.5]")),
        ("seeds = [0, 1]", "seeds = [0, 1]\nmax_images = 3", "max_images is 3, but must be an integer of at least 50"),
        ("seeds = [0, 1]", 'seeds = [0, 1]\nmax_images = "all"', "max_images must be an integer"),
        ("seeds = [0, 1]", "seeds = [4294967296]", "seed 4294967296 is not allowed"),
        ('data = "dsprites"', 'data = "dsprites:orient=2"', "dsprites has no factor 'orient'"),
        ('data = "dsprites"', 'data = "dsprites:orientation=99"', "orientation has 40 values"),
        ('data = "dsprites"', 'data = "dsprites:px=5"', "px=5"),
        ('data = "dsprites"', 'data = "dsprites:shape"', "is not a variation"),
        ("[axes.variant.plain]", "[axes.settings.a]\n[axes.variant.plain]", "an axis cannot be called 'settings'"),
        ('method = "factor-vae"', 'method = "factor-vae"\noptions = { discriminator_betas = [0.5] }', "two numbers"),
        ('method = "factor-vae"', 'method = "factor-vae"\noptions = { discriminator_betas = ["a", 0] }', "two numbers"),
        ("seeds = [0, 1]", "seeds = [0, 1]\ndescription = 1", "description must be a text"),
        ('axis = "variant"', 'axis = ["variant"]', "compare must be"),
        ('labels = { method = "FactorVAE", variant = "TopDis" }', "labels = []", "every [[where]] must have"),
        ('method = "FactorVAE", variant', "method = [], variant", "every [[where]] must have"),
        ('method = "FactorVAE", variant', "method = [1], variant", "every [[where]] must have"),
        ("settings = { topdis = { weight = 6.0 } }", "settings = 5", "every [[where]] must have"),
        ('method = "beta-vae"', "method = []", "method is []"),
        ('data = "dsprites"', "topdis = 5", "topdis must be a table"),
        ('data = "dsprites"', "options = 5", "must be a table"),
        ("seeds = [0, 1]", f"seeds = {list(range(30_000))}", "at most 20,000 cells"),
    ],
)
def test_an_absurd_value_is_reported(old: str, new: str, message: str) -> None:
    text = GRID.replace("topdis = { p = 2 }\n", "") if new == "topdis = 5" else GRID
    assert message in errors_of(text.replace(old, new))


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000,
        "a = " + "{ a = " * 5000,
        GRID.replace("[base]", "[base]\n" + ".".join(["a"] * 5000) + " = 1"),
        "name = ",
        "a = 1" + "0" * 5000,
    ],
    ids=["brackets", "tables", "dotted keys", "no value", "digits"],
)
def test_a_text_that_is_no_grid_is_refused_in_one_short_line_with_exit_code_1(text: str) -> None:
    with pytest.raises(GridFileError) as caught:
        parse_grid(text)
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=6,
).filter(lambda value: value is not None)
FIELDS = st.sampled_from(["data", "method", "options", "topdis", "steps", "seed", "width", "adam_betas"])


@settings(max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    odd=st.dictionaries(
        st.sampled_from(["name", "seeds", "metrics", "max_images", "compare", "base", "axes", "where", "notes"]), ODD
    ),
    base=st.dictionaries(FIELDS, ODD, max_size=3),
)
def test_any_document_is_a_grid_or_is_refused_in_one_line(odd: dict[str, Any], base: dict[str, Any]) -> None:
    sound = {"name": "x", "seeds": [0], "axes": {"method": {"VAE": {"method": "vae"}}}, "base": base}
    message = "one line"
    try:
        assert isinstance(_build_grid({**sound, **odd}, "x"), Grid)
    except TopdisError as error:
        message = str(error)
    assert len(message.splitlines()) == 1


def test_a_file_that_is_missing_too_large_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="is not a file"):
        read_grid(tmp_path / "no.toml")
    (tmp_path / "large.toml").write_text("#" * 2_000_000)
    with pytest.raises(GridFileError, match="more than 262,144 bytes"):
        read_grid(tmp_path / "large.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(GridFileError, match="cannot be read"):
        read_grid(tmp_path / "binary.toml")


def test_good_settings_have_no_errors() -> None:
    assert validate_settings({"data": "dsprites", "topdis": {"weight": 5.0}}, ["mig"]) == []


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"stpes": 5}, "unknown setting 'stpes'; did you mean 'steps'?"),
        ({"seed": 5}, "seed is set by the suite"),
        ({"topdis": 5.0}, "topdis must be a table"),
        ({"topdis": {"wight": 5.0}}, "unknown topdis setting 'wight'; did you mean 'weight'?"),
        ({"topdis": {"gamma": 5.0}}, "unknown topdis setting 'gamma'"),
        ({"topdis": {"weight": -5.0}}, "topdis.weight is -5.0"),
        ({"data": "dsprite"}, "data set 'dsprite' is unknown"),
        ({"method": "gan"}, "method is 'gan'"),
        ({"steps": "many"}, "steps is 'many'"),
    ],
)
def test_an_error_in_the_settings_is_named(settings: dict[str, object], error: str) -> None:
    assert error in " ".join(validate_settings(settings, None))


def test_two_errors_of_one_cell_are_both_named() -> None:
    assert len(validate_settings({"stpes": 5, "seed": 1}, None)) == 2


def test_supervised_metrics_of_a_set_without_factors_are_an_error_and_none_are_not() -> None:
    assert "celeba has no known factors, so mig" in validate_settings({"data": "celeba"}, ["mig", "unsupervised"])[0]
    assert validate_settings({"data": "celeba"}, None) == []


def test_only_sets_that_are_read_from_files_get_the_data_root() -> None:
    assert data_root_for({"data": "3dshapes:shape=2"}, Path("here")) == Path("here")
    assert data_root_for({"data": "dsprites"}, Path("here")) is None


def test_every_promised_preset_exists() -> None:
    assert set(preset_names()) == PRESETS


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_has_no_errors_and_carries_its_name(name: str) -> None:
    grid = find_grid(name)
    assert grid.name == name
    assert grid.axis == (None if name in CHOICES else "variant")
    assert all(TrainSettings.from_tables(cell.settings, seed=cell.seed).seed == cell.seed for cell in grid.cells)


@pytest.mark.parametrize(
    "name", sorted(PRESETS - CHOICES - {"quick", "ablation-orthogonal", "control-losses", "replication"})
)
def test_a_preset_of_the_paper_says_what_is_not_verified(name: str) -> None:
    assert "nverified" in " ".join(find_grid(name).notes)


def test_quick_is_two_methods_with_and_without_topdis_over_three_seeds() -> None:
    cells = find_grid("quick").cells
    assert len(cells) == 12
    assert {cell.settings["method"] for cell in cells} == {"beta-vae", "factor-vae"}
    assert sum("topdis" in cell.settings for cell in cells) == 6


def test_what_is_neither_a_preset_nor_a_file_is_refused_listing_the_presets() -> None:
    with pytest.raises(InvalidArgumentError, match=r"neither a preset .*paper-mpi3d"):
        find_grid("papers")


def test_a_file_is_read_like_a_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nseeds = [7]\n[axes.method.VAE]\nmethod = "vae"\n')
    assert [cell.name for cell in find_grid(str(file)).cells] == ["vae--seed-7"]
