import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ganspace_topdis.commands import metrics, rtd
from ganspace_topdis.errors import InvalidArgumentError, MissingDependencyError, RunFolderError, TopdisError
from ganspace_topdis.metrics import METRICS, mig, udr
from ganspace_topdis.metrics.files import read_array, score_files
from ganspace_topdis.program import cli
from ganspace_topdis.runs.outputs import OutputSettings
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


def run(folder: Path, *arguments: str, command: str = "metrics") -> str:
    result = CliRunner().invoke(cli, [command, *(each.replace("@", f"{folder}/") for each in arguments)])
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.mark.parametrize("source", ["@codes.npy", "@both.npz:codes"])
def test_the_document_holds_scores_and_what_they_cost(folder: Path, source: str) -> None:
    found = json.loads(run(folder, "--codes", source, "--factors", "@factors.csv", "--metrics", "mig,mcc", "--json"))
    assert found["scores"]["mig"] == pytest.approx(mig(CODES, FACTORS))
    assert set(found["seconds"]) == {"mig", "mcc"}
    assert found["undefined"] == {}


def test_the_table_fits_into_80_columns_and_gives_the_reason_why_a_metric_is_undefined() -> None:
    problem = "codes have 1 latents, this metric needs at least 2; score a larger code"
    record = {
        "num_points": 300,
        "scores": {"gaussian_wasserstein_correlation_normed": 1234.5678},
        "seconds": {group.name: 123.456 for group in METRICS},
        "total_seconds": 1234.5,
        "undefined": {group.name: problem for group in METRICS if group.name != "unsupervised"},
        "files": [],
    }
    text = metrics.to_text(record, metrics.Options(codes="codes.npy", factors="factors.csv"))
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("undefined: codes have 1 latents") == len(METRICS) - 1
    assert "1234.5678" in text
    assert "300 points" in text


def test_undefined_metrics_are_left_out_unless_they_were_named(folder: Path) -> None:
    np.save(folder / "one.npy", CODES[:, :1])
    files = (str(folder / "one.npy"), str(folder / "factors.csv"))
    assert score_files(*files, metrics=["mig"]).as_dict()["undefined"] == {}
    with pytest.raises(InvalidArgumentError, match="`metrics` dci: codes have 1 latents"):
        score_files(*files, metrics=["mig", "dci"])


def test_the_page_names_factors_and_marks_dead_latents(folder: Path) -> None:
    np.save(folder / "dead.npy", np.hstack([CODES, 0.001 * CODES[:, :1]]))
    page = folder / "page.html"
    printed = run(folder, "--codes", "@dead.npy", "--factors", "@factors.csv", "--metrics", "mig", "--out", str(page))
    assert printed.splitlines()[-1] == str(page)
    text = page.read_text()
    header = [f'<th scope="col">{name}</th>' for name in ("shape", "scale", "hue", "light")]
    assert "".join(header) in text
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


def test_a_star_is_explained_where_there_is_one() -> None:
    row = {"first": 0.5, "second": 0.7, "low": 0.1, "high": 0.3}
    options = metrics.Options(compare=("a.npy", "b.npy"), factors="f.npy")
    lines = metrics.to_text({"mig": row, "sap": {**row, "low": -0.1}}, options).splitlines()
    assert [line.endswith(" *") for line in lines[1:3]] == [True, False]
    assert lines[3:] == ["*: the interval excludes 0"]
    assert "excludes" not in metrics.to_text({"sap": {**row, "low": -0.1}}, options)


def test_models_of_the_same_images_are_scored_without_factors(folder: Path) -> None:
    files = [str(folder / name) for name in ("codes.npy", "other.npy", "codes.npy")]
    options = metrics.Options(udr=tuple(files))
    expected = dict(zip(files, udr([CODES, CODES[:, ::-1], CODES]), strict=True))
    record = metrics.run(options)
    assert record["udr"] == pytest.approx(expected)
    assert metrics.to_text(record, options).splitlines()[-1].split() == [files[1], f"{expected[files[1]]:.4f}"]
    assert "UDR" in run(folder, *(part for path in files for part in ("--udr", path)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--factors", "@factors.csv"], "exactly one of --codes, --compare and --udr"),
        (["--codes", "@codes.npy"], "--codes needs --factors"),
        (["--udr", "@codes.npy", "--factors", "@factors.csv"], "--udr does not take --factors"),
        (["--udr", "@codes.npy", "--test-codes", "@codes.npy"], "--udr does not take --test-codes"),
        (["--codes", "@codes.npy", "--factors", "@factors.csv", "--metrics", ""], "names no metric"),
        (["--udr", "@codes.npy"], "two models or more"),
        (["--codes", "@codes.npy", "--factors", "@factors.csv", "--metrics", "mgi"], "did you mean 'mig'"),
        (["--codes", "@codes.npy", "--factors", "@both.npz"], "name one as"),
        (["--codes", "@codes.npy", "--factors", "@both.npz:nothing"], "not 'nothing'"),
        (["--codes", "@codes.txt", "--factors", "@factors.csv"], "not a known table"),
        (
            ["--compare", "@codes.npy", "@other.npy", "--factors", "@factors.csv", "--out", "x.html"],
            "--compare does not take --out",
        ),
    ],
)
def test_wrong_usage_is_refused(folder: Path, arguments: list[str], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        run(folder, *arguments)


def test_files_that_cannot_be_read_are_named(folder: Path) -> None:
    (folder / "broken.npy").write_bytes(b"no array")
    (folder / "short.npy").write_bytes((folder / "codes.npy").read_bytes()[:-8])
    (folder / "broken.npz").write_bytes(b"PK\x03\x04 no archive")
    for name in ("broken.npy", "missing.npy", "short.npy", "broken.npz"):
        with pytest.raises(TopdisError, match=name):
            read_array(str(folder / name))
    (folder / "ragged.csv").write_text("1,2\n3\n")
    with pytest.raises(InvalidArgumentError, match="different lengths"):
        read_array(str(folder / "ragged.csv"))


def test_pickled_arrays_are_never_opened(folder: Path) -> None:
    objects = np.array([{}, {}], dtype=object)
    np.save(folder / "objects.npy", objects, allow_pickle=True)
    np.savez(folder / "objects.npz", objects=objects)
    for name in ("objects.npy", "objects.npz"):
        with pytest.raises(TopdisError, match=rf"{name} cannot be read \(it holds pickled objects"):
            read_array(str(folder / name))


def test_an_archive_that_would_inflate_a_thousand_times_is_not_unpacked(folder: Path) -> None:
    np.savez_compressed(folder / "bomb.npz", codes=np.zeros((2**20, 20)))
    with pytest.raises(TopdisError, match=r"bomb.npz cannot be read \(the array would be inflated"):
        read_array(str(folder / "bomb.npz"))


def test_empty_cells_are_missing_numbers(folder: Path) -> None:
    (folder / "gaps.csv").write_text("1,2\n,4\n")
    assert np.isnan(read_array(str(folder / "gaps.csv"))).tolist() == [[False, False], [True, False]]


def test_the_first_row_of_a_table_names_its_columns_unless_they_hold_it_again(folder: Path) -> None:
    table = folder / "factors.csv"
    for first, others, num_rows in (
        ("color,size", ["red,1", "blue,2"], 2),
        ("color,shape", ["red,cube", "blue,ball"], 2),
        ("red,cube", ["blue,ball", "red,ball"], 3),
        ("red,shape", ["blue,shape", "red,ball"], 3),
        ("red,1", ["blue,2"], 2),
    ):
        table.write_text("\n".join([first, *others]) + "\n")
        assert len(read_array(str(table))) == num_rows, first
    table.write_text("\n")
    with pytest.raises(InvalidArgumentError, match=r"factors.csv is empty; give one row per example"):
        read_array(str(table))


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


@pytest.fixture
def clouds(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    first = rng.normal(size=(60, 3))
    paths = [tmp_path / f"{name}.npy" for name in ("first", "near", "far")]
    near, far = first + 0.05 * rng.normal(size=first.shape), rng.normal(size=first.shape)
    for path, cloud in zip(paths, (first, near, far), strict=True):
        np.save(path, cloud)
    return paths


def test_two_clouds_print_a_line_for_each_score(clouds: list[Path]) -> None:
    options = rtd.Options(x=clouds[0], y=clouds[1], scores=("rtd", "srtd", "nts-m"), trials=4, batch=30)
    record = rtd.run(options)
    assert len(record["values"]) == 4
    row = record["pairs"][0]["scores"]["rtd"]
    assert row["values"] == record["values"]
    assert row["low"] < row["mean"] == record["rtd"] < row["high"]
    lines = rtd.to_text(record, options).splitlines()
    assert [line.split()[0] for line in lines] == ["RTD", "SRTD", "NTS-M"]
    assert lines[0].endswith("(4 subsets of 30 points)")
    assert " ± " in lines[0]


@pytest.mark.parametrize(
    ("trials", "batch", "counted"),
    [(1, 10, "1 subset of 10 points"), (2, 10, "2 subsets of 10 points"), (1, 60, "all 60 points")],
)
def test_what_was_compared_is_said(clouds: list[Path], trials: int, batch: int, counted: str) -> None:
    options = rtd.Options(x=clouds[0], y=clouds[1], trials=trials, batch=batch)
    assert rtd.to_text(rtd.run(options), options).endswith(f"({counted})")
    options = dataclasses.replace(options, others=(clouds[2],))
    assert rtd.to_text(rtd.run(options), options).startswith(f"means of {counted}\n")


def test_several_clouds_give_a_matrix_in_the_order_of_the_files(clouds: list[Path]) -> None:
    options = rtd.Options(x=clouds[0], y=clouds[2], others=(clouds[1],), scores=("rtd", "nts-e"))
    record = rtd.run(options)
    matrix = np.array(record["matrices"]["rtd"])
    assert matrix == pytest.approx(matrix.T)
    assert matrix[0, 2] < matrix[0, 1]
    assert np.diag(record["matrices"]["nts-e"]).tolist() == [1, 1, 1]
    leaves = record["order"]
    assert abs(leaves.index(0) - leaves.index(2)) == 1
    text = rtd.to_text(record, options)
    assert "means of all 60 points" in text
    assert "NTS-E" in text


def test_the_heat_map_of_several_clouds_is_drawn(clouds: list[Path], tmp_path: Path) -> None:
    picture = tmp_path / "map.png"
    printed = run(tmp_path, *map(str, clouds), "--scores", "srtd-lite", "--plot", str(picture), command="rtd")
    assert printed.splitlines()[-1] == str(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_picture_is_replaced_only_if_asked(clouds: list[Path], tmp_path: Path) -> None:
    picture = tmp_path / "bars.png"
    picture.write_text("mine")
    options = rtd.Options(x=clouds[0], y=clouds[1], trials=1, batch=10, plot=picture)
    with pytest.raises(RunFolderError, match=r"bars.png would be replaced; give `force`, or another `plot`"):
        rtd.run(options)
    assert picture.read_text() == "mine"
    rtd.run(dataclasses.replace(options, output=OutputSettings(force=True)))
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_half_of_a_test_set_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="`test_codes` and `test_factors` belong together; give both"):
        metrics.Options(codes="codes.npy", factors="factors.csv", test_codes="codes.npy")


def test_a_plot_is_a_png_file(clouds: list[Path]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`plot` is 'bars\.jpg', but must be a file that ends in \.png"):
        rtd.Options(x=clouds[0], y=clouds[1], plot=Path("bars.jpg"))


def test_unknown_scores_are_refused(clouds: list[Path]) -> None:
    for scores in (("rdt",), ()):
        with pytest.raises(InvalidArgumentError, match=r"(choose from|among) rtd"):
            rtd.Options(x=clouds[0], y=clouds[1], scores=scores)


def test_the_commands_import_neither_numpy_nor_torch() -> None:
    code = "import sys; from ganspace_topdis.commands import metrics, rtd; print({'numpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_page_of_a_factor_that_varies_in_held_out_rows_only_says_so(folder: Path) -> None:
    codes = np.load(folder / "codes.npy")[:300]
    factors = np.random.default_rng(1).integers(0, 3, (300, 3))
    factors[:, 0] = 0
    factors[np.random.default_rng(0).permutation(300)[0], 0] = 1
    np.save(folder / "few.npy", codes)
    np.save(folder / "rare.npy", factors)
    page = folder / "rare.html"
    run(folder, "--codes", "@few.npy", "--factors", "@rare.npy", "--metrics", "mig", "--out", str(page))
    assert "Undefined: a factor varies only in the rows that the trees are not fit on." in page.read_text()


def test_a_table_with_a_byte_order_mark_is_read_without_it(folder: Path) -> None:
    text = (folder / "factors.csv").read_text()
    (folder / "marked.csv").write_text(text, encoding="utf-8-sig")
    page = folder / "marked.html"
    options = ("--codes", "@codes.npy", "--metrics", "mig", "--out", str(page))
    run(folder, *options, "--factors", "@marked.csv")
    assert "shape" in page.read_text()
    assert "\ufeff" not in page.read_text()


def test_a_table_with_an_endless_field_is_refused(tmp_path: Path) -> None:
    (tmp_path / "codes.csv").write_text("1," + "2" * 200_000 + "\n")
    with pytest.raises(TopdisError, match=r"codes.csv cannot be read \(field larger than field limit"):
        read_array(str(tmp_path / "codes.csv"))
