from dataclasses import replace

import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.report.table import to_html, to_latex, to_markdown
from tests.vae.suite.made_up import made_up_results
from vae.suite.tables import against_table, cell_table, cost_table, difference_table, metric_table, overview_table


def test_the_overview_has_one_row_per_setting_and_marks_missing_seeds() -> None:
    table = overview_table(made_up_results())
    assert table.header == ("method", "variant", "seeds", "MIG", "SAP", "Reconstruction error, nats per image")
    assert table.rows[0][:4] == ("beta-VAE", "plain", "3", "0.220 ± 0.020")
    assert table.rows[-1][2:4] == ("2 of 3", "0.360 ± 0.014 (2)")


def test_the_papers_figure_stands_beside_ours_as_the_papers_and_unverified() -> None:
    table = metric_table(made_up_results(), "mig")
    assert table.header[-1] == "paper"
    assert table.rows[1][-1] == "0.348 (TopDis paper, unverified)"


def test_a_metric_that_the_paper_does_not_have_gets_no_such_column() -> None:
    assert "paper" not in metric_table(made_up_results(), "reconstruction").header


def test_differences_have_signs_missing_pairs_and_an_interval_from_five_pairs_on() -> None:
    table = difference_table(made_up_results(), "mig")
    assert table is not None
    assert table.rows[0] == ("beta-VAE", "TopDis", "+0.100", "—", "3", "0", "3 of 3")
    assert table.rows[-1] == ("all settings", "TopDis", "+0.100", "+0.100 to +0.100", "5", "0", "5 of 6")


def test_a_suite_that_compares_nothing_has_no_differences() -> None:
    assert difference_table(made_up_results(compared=False), "mig") is None


def test_differences_of_small_scores_have_as_many_decimals_as_the_scores() -> None:
    results = made_up_results()
    records = tuple(
        replace(r, scores={"squared_error": 0.0031 if r.labels["variant"] == "plain" else 0.0033})
        for r in results.records
    )
    table = difference_table(replace(results, records=records), "squared_error")
    assert table is not None
    assert {row[2] for row in table.rows} == {"+0.0002"}


def test_results_without_a_common_setting_are_not_put_side_by_side() -> None:
    ours = made_up_results()
    renamed = [replace(record, labels={"method": "VAE", "variant": "plain"}) for record in ours.records]
    with pytest.raises(
        InvalidArgumentError, match=r"`against` old shares no setting .*; it has VAE, plain, for example"
    ):
        against_table(ours, replace(ours, name="old", records=tuple(renamed)))


def test_cells_that_failed_come_first_with_their_reason() -> None:
    first = cell_table(made_up_results()).rows[0]
    assert first == ("FactorVAE", "TopDis", "2", "failed", "killed | by SIGKILL", "—")


def test_the_cost_adds_up() -> None:
    rows = cost_table(made_up_results()).rows
    assert rows[0] == ("beta-VAE", "plain", "cpu", "1 min 30 s", "4 min 30 s")
    assert rows[-1][-1] == "16 min 30 s"


def test_every_row_of_a_real_table_reaches_every_format() -> None:
    table = cell_table(made_up_results())
    assert to_markdown(table).count("\n| ") == len(table.rows) + 2
    assert to_html(table).count("<tr>") == len(table.rows) + 1
    assert to_latex(table).count(r" \\") == len(table.rows) + 1
