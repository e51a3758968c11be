import csv
import dataclasses
import math
from pathlib import Path

import pytest

from ganspace_topdis.errors import InvalidArgumentError
from tests.vae.suite.made_up import made_up_results
from vae.suite.report import write_report
from vae.suite.results import CellResult, SuiteResults

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    write_report(made_up_results(), out)
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_needs_no_other_file_and_no_network(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page
    assert "&lt;made up&gt;" in page


def test_the_verdict_comes_before_everything_else(folder: Path) -> None:
    verdict = "MIG: no significant difference between TopDis and plain after correction, and none larger than 0.1 (95 %"
    assert f"<li>{verdict}" in (folder / "report.html").read_text().split("<table")[0]
    assert f"\n* {verdict}" in (folder / "report.md").read_text().split("|")[0]


def test_without_a_comparison_the_verdict_names_the_best_setting(tmp_path: Path) -> None:
    page = write_report(made_up_results(compared=False), tmp_path)[0].read_text()
    assert "Highest MIG: FactorVAE, TopDis, 0.360." in page.split("<table")[0]


def test_the_verdict_names_the_lowest_error_and_no_metric_without_a_number(tmp_path: Path) -> None:
    made_up = made_up_results(compared=False)
    records = [
        dataclasses.replace(
            record, scores={"reconstruction": record.scores["reconstruction"], "squared_error": math.nan}
        )
        for record in made_up.records[:-1]
    ]
    page = write_report(dataclasses.replace(made_up, records=tuple(records)), tmp_path)[0].read_text()
    assert "Lowest Reconstruction error, nats per image: FactorVAE, TopDis, 36.4." in page.split("<table")[0]
    assert "Highest" not in page.split("<table")[0]


def test_an_interval_of_few_pairs_is_not_printed(folder: Path) -> None:
    by_pairs = {row["num_pairs"]: row["low"] for row in rows(folder / "differences.csv") if row["metric"] == "mig"}
    assert {pairs: bool(low) for pairs, low in by_pairs.items()} == {"3": False, "2": False, "5": True}


def test_page_and_markdown_say_how_many_cells_are_missing(folder: Path) -> None:
    for name in ("report.html", "report.md"):
        assert "1 of 12 cells have no scores (1 failed)" in (folder / name).read_text()


def test_the_pictures_that_the_markdown_names_are_there(folder: Path) -> None:
    text = (folder / "report.md").read_text()
    for name in ("scores", "differences", "correlations"):
        assert f"(plots/{name}.png)" in text
        assert (folder / "plots" / f"{name}.png").stat().st_size > 1000


def test_the_raw_scores_come_back_from_the_csv(folder: Path) -> None:
    cells = rows(folder / "cells.csv")
    first = next(row for row in cells if row["metric"] == "mig")
    assert float(first["score"]) == made_up_results().records[0].scores["mig"]
    assert [row["state"] for row in cells].count("failed") == 1


def test_summary_and_differences_hold_the_counts(folder: Path) -> None:
    assert rows(folder / "summary.csv")[3]["num_seeds"] == "2"
    last = [row for row in rows(folder / "differences.csv") if row["metric"] == "mig"][-1]
    assert (last["setting"], last["num_pairs"], last["num_pairs_asked"]) == ("all settings", "5", "6")


def test_a_suite_of_which_nothing_ran_still_has_a_report(tmp_path: Path) -> None:
    results = made_up_results()
    waiting = [CellResult(labels=r.labels, seed=r.seed, state="missing") for r in results.records]
    written = write_report(dataclasses.replace(results, records=tuple(waiting)), tmp_path)
    assert "12 of 12 cells have no scores (12 missing)" in written[0].read_text()


def test_settings_that_were_not_begun_are_named_once_and_kept_in_the_cells(tmp_path: Path) -> None:
    results = made_up_results()
    waiting = [
        CellResult(labels={**r.labels, "method": f"DAVA {number}"}, seed=r.seed, state="missing")
        for number in range(5)
        for r in results.records
    ]
    write_report(dataclasses.replace(results, records=(*results.records, *waiting)), tmp_path)
    for name in ("report.html", "report.md"):
        text = (tmp_path / name).read_text()
        assert text.count("DAVA 0, plain") == 1
        assert "Left out, because no cell was begun: DAVA 0, plain; DAVA 0, TopDis;" in text
        assert "; and 4 more." in text
        assert "1 of 12 cells have no scores (1 failed)" in text
    assert sum(row["state"] == "missing" for row in rows(tmp_path / "cells.csv")) == len(waiting)
    assert not any("DAVA" in row["setting"] for row in rows(tmp_path / "verdicts.csv"))


def test_what_all_cells_have_in_common_is_said_once(tmp_path: Path) -> None:
    results = made_up_results(num_seeds=12)
    records = [record for record in results.records if record.labels["method"] == "beta-VAE"]
    write_report(dataclasses.replace(results, records=tuple(records)), tmp_path)
    for name in ("report.html", "report.md"):
        assert (tmp_path / name).read_text().count("beta-VAE") == 1
    assert "24 of 24 cells finished, all of beta-VAE; made by" in (tmp_path / "report.md").read_text()
    assert rows(tmp_path / "cells.csv")[0]["method"] == "beta-VAE"
    assert {row["setting"] for row in rows(tmp_path / "verdicts.csv")} == {"beta-VAE"}
    assert {row["method"] for row in rows(tmp_path / "summary.csv")} == {"beta-VAE"}


@pytest.mark.parametrize("state", ["missing", None])
def test_cells_without_their_baseline_are_reported_without_a_comparison(state: str | None, tmp_path: Path) -> None:
    results = made_up_results()
    waiting = [dataclasses.replace(r, state="missing", scores={}) for r in results.records]
    records = [
        record if record.labels["variant"] != "plain" else without_scores
        for record, without_scores in zip(results.records, waiting, strict=True)
        if record.labels["variant"] != "plain" or state
    ]
    write_report(dataclasses.replace(results, records=tuple(records)), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "Nothing is compared, because no cell of plain is among those reported." in text
    assert "Highest MIG: FactorVAE, 0.360." in text
    assert "cells finished, all of TopDis; made by" in text
    assert sum(row["metric"] == "mig" for row in rows(tmp_path / "cells.csv")) == 5
    assert rows(tmp_path / "differences.csv") == rows(tmp_path / "verdicts.csv") == []


def test_the_baseline_alone_is_reported_without_a_comparison(tmp_path: Path) -> None:
    results = made_up_results()
    plain = tuple(record for record in results.records if record.labels["variant"] == "plain")
    write_report(dataclasses.replace(results, records=plain), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "Nothing is compared, because all cells reported are of plain." in text
    assert "Highest MIG: FactorVAE, 0.270." in text
    assert "p value" not in text
    assert rows(tmp_path / "differences.csv") == rows(tmp_path / "verdicts.csv") == []


def test_metrics_of_2023_and_later_appear_by_name(tmp_path: Path) -> None:
    results = made_up_results()
    scores = {"infomec_modularity": 0.5, "edi_compactness": 0.4, "dci_es_size": 1.0, "nk": 0.3, "iwr": 0.2}
    records = tuple(dataclasses.replace(r, scores={**r.scores, **scores}) for r in results.records)
    written = write_report(dataclasses.replace(results, records=records), tmp_path)
    for path in written[:2]:
        for name in ("InfoMEC modularity", "EDI compactness", "DCI-ES size", "NK", "IWR"):
            assert name in path.read_text()


def test_a_suite_without_cells_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="no cells"):
        write_report(SuiteResults(name="empty"), tmp_path)
