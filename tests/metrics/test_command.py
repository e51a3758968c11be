import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cli import cli
from ganspace_topdis.errors import InvalidArgumentError, MissingDependencyError, TopdisError
from ganspace_topdis.metrics import METRICS, Measured, mig
from ganspace_topdis.metrics.command import Report, read_array, report_text, score_files
from tests.metrics.kinds import draw_kind

CODES, FACTORS = draw_kind("entangled", 300)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "codes.npy", CODES)
    np.save(tmp_path / "other.npy", CODES[:, ::-1])
    np.savez(tmp_path / "both.npz", codes=CODES, factors=FACTORS)
    names = np.array(["cube", "ball", "tube", "cone"])[FACTORS[:, 0]]
    rows = [f"{name},{','.join(map(str, row[1:]))}" for name, row in zip(names, FACTORS, strict=True)]
    (tmp_path / "factors.csv").write_text("\n".join(["shape,scale,hue,light", *rows]) + "\n")
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    result = CliRunner().invoke(cli, ["metrics", *(each.replace("@", f"{folder}/") for each in arguments)])
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.mark.parametrize("source", ["@codes.npy", "@both.npz:codes"])
def test_the_document_holds_scores_and_what_they_cost(folder: Path, source: str) -> None:
    found = json.loads(run(folder, "--codes", source, "--factors", "@factors.csv", "--metrics", "mig,mcc", "--json"))
    assert found["scores"]["mig"] == pytest.approx(mig(CODES, FACTORS))
    assert set(found["seconds"]) == {"mig", "mcc"}
    assert found["undefined"] == {}


def test_the_table_fits_into_80_columns_and_says_why_a_metric_is_undefined() -> None:
    problem = "codes have 1 latents, this metric needs at least 2; score a larger code"
    measured = [Measured(group.name, {}, 123.456, problem) for group in METRICS]
    longest = Measured("unsupervised", {"gaussian_wasserstein_correlation_normed": 1234.5678}, 123.456)
    text = report_text(Report("codes.npy", "factors.csv", 300, (*measured, longest), 1234.5, ("shape",)))
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("undefined: codes have 1 latents") == len(METRICS)
    assert "300 points" in text


def test_undefined_metrics_are_left_out_unless_they_were_named(folder: Path) -> None:
    np.save(folder / "one.npy", CODES[:, :1])
    files = (str(folder / "one.npy"), str(folder / "factors.csv"))
    assert score_files(*files, metrics="mig").as_dict()["undefined"] == {}
    with pytest.raises(InvalidArgumentError, match="--metrics dci: codes have 1 latents"):
        score_files(*files, metrics="mig,dci")


def test_the_page_names_factors_and_marks_dead_latents(folder: Path) -> None:
    np.save(folder / "dead.npy", np.hstack([CODES, 0.001 * CODES[:, :1]]))
    page = folder / "page.html"
    printed = run(folder, "--codes", "@dead.npy", "--factors", "@factors.csv", "--metrics", "mig", "--out", str(page))
    assert printed.splitlines()[-1] == str(page)
    text = page.read_text()
    assert re.findall(r">(shape|scale|hue|light)</th>", text) == ["shape", "scale", "hue", "light"] * 2
    assert text.count('<tr class="muted"><th scope="row">4</th>') == 2
    assert "http" not in text


def test_a_page_replaces_an_older_page_and_nothing_else(folder: Path) -> None:
    options = ("--codes", "@codes.npy", "--factors", "@factors.csv", "--metrics", "mig", "--out")
    (folder / "notes.html").write_text("mine")
    for name, words in (("notes.html", "not a page"), ("codes.npy", "end in .html"), ("no/page.html", "no folder")):
        with pytest.raises(InvalidArgumentError, match=words):
            run(folder, *options, f"@{name}")
    assert (folder / "notes.html").read_text() == "mine"
    for _ in range(2):
        run(folder, *options, "@page.html")


def test_a_comparison_prints_both_scores_and_an_interval(folder: Path) -> None:
    arguments = ["--compare", "@codes.npy", "@other.npy", "--factors", "@factors.csv", "--metrics", "mig"]
    row = json.loads(run(folder, *arguments, "--resamples", "10", "--json"))["mig"]
    assert row["first"] == row["second"]
    assert row["low"] == row["high"] == 0
    assert "mig" in run(folder, *arguments, "--resamples", "10")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--factors", "@factors.csv"], "either --codes or --compare"),
        (["--codes", "@codes.npy", "--factors", "@factors.csv", "--metrics", "mgi"], "did you mean 'mig'"),
        (["--codes", "@codes.npy", "--factors", "@both.npz"], "name one as"),
        (["--codes", "@codes.npy", "--factors", "@both.npz:nothing"], "not 'nothing'"),
        (["--codes", "@codes.txt", "--factors", "@factors.csv"], "not a known table"),
        (["--compare", "@codes.npy", "@other.npy", "--factors", "@factors.csv", "--out", "x.html"], "neither --out"),
    ],
)
def test_wrong_usage_is_refused(folder: Path, arguments: list[str], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        run(folder, *arguments)


def test_files_that_cannot_be_read_are_named(folder: Path) -> None:
    (folder / "broken.npy").write_bytes(b"no array")
    for name in ("broken.npy", "missing.npy"):
        with pytest.raises(TopdisError, match=name):
            read_array(str(folder / name))
    (folder / "ragged.csv").write_text("1,2\n3\n")
    with pytest.raises(InvalidArgumentError, match="different lengths"):
        read_array(str(folder / "ragged.csv"))


def test_pickled_arrays_are_never_opened(folder: Path) -> None:
    np.save(folder / "objects.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(TopdisError, match="allow_pickle=False"):
        read_array(str(folder / "objects.npy"))


def test_empty_cells_are_missing_numbers(folder: Path) -> None:
    (folder / "gaps.csv").write_text("1,2\n,4\n")
    assert np.isnan(read_array(str(folder / "gaps.csv"))).tolist() == [[False, False], [True, False]]


def test_parquet_is_read_or_its_extra_is_named(folder: Path) -> None:
    path = folder / "codes.parquet"
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        with pytest.raises(MissingDependencyError, match=r"topdis-gan\[parquet\]"):
            read_array(str(path))
        return
    parquet.write_table(pyarrow.table({"a": [1.0, None], "b": [3, 4]}), path)
    assert np.array_equal(read_array(str(path)), [[1, 3], [np.nan, 4]], equal_nan=True)
