"""The verdicts of a suite: sentences, table and CSV, from made-up results."""

import csv
import io

import pytest

from tests.vae.suite.made_up import made_up_results
from vae.suite.verdicts import headline_metrics, suite_verdicts, verdict_table, verdict_text, verdicts_csv

EIGHT = made_up_results(num_seeds=8)
FEW = made_up_results(num_seeds=2)


def test_headline_metrics_are_tested_and_others_are_not() -> None:
    assert headline_metrics(EIGHT) == ["mig", "sap"]
    assert {each.verdict.metric for each in suite_verdicts(EIGHT)} == {"mig", "sap"}


def test_the_text_has_one_sentence_per_metric_with_interval_p_and_pairs() -> None:
    text = verdict_text(suite_verdicts(EIGHT), "plain")
    assert text.startswith("MIG: TopDis is better than plain by 0.1 (95 % interval +0.1 to +0.1, corrected p = 0.00012")
    assert "15 pairs).\nSAP: TopDis is better than plain by 0.02 (" in text


def test_p_values_are_exact_and_corrected_over_the_metrics_of_a_setting() -> None:
    found = {(each.verdict.metric, each.difference.setting): each.verdict for each in suite_verdicts(EIGHT)}
    alone = (("method", "beta-VAE"),)
    assert found["mig", alone].p == pytest.approx(2 / 2**8)
    assert found["mig", alone].corrected_p == pytest.approx(2 * 2 / 2**8)
    assert found["mig", ()].p == pytest.approx(2 / 2**15)


def test_fewer_than_five_pairs_have_neither_interval_nor_verdict() -> None:
    tested = suite_verdicts(FEW)
    assert {each.verdict.outcome for each in tested} == {"too few pairs"}
    text, table = verdict_text(tested, "plain"), verdict_table(tested, "plain")
    assert "MIG: TopDis − plain is +0.100 on average, higher in 3 of 3 pairs." in text
    assert text.endswith("A verdict needs 5 pairs.")
    assert table is not None
    assert {row[3:5] for row in table.rows} == {("too few pairs", "—")}


def test_the_table_has_a_row_per_metric_and_setting() -> None:
    table = verdict_table(suite_verdicts(EIGHT), "plain")
    assert table is not None
    assert [row[:4] for row in table.rows[:3]] == [
        ("MIG", "beta-VAE", "TopDis", "better by 0.100"),
        ("MIG", "FactorVAE", "TopDis", "better by 0.100"),
        ("MIG", "all settings", "TopDis", "better by 0.100"),
    ]
    assert table.rows[0][-1] == "8 of 8"


def test_an_interval_that_excludes_zero_without_significance_is_worded_so_in_the_table_and_not_in_the_csv() -> None:
    tested = suite_verdicts(made_up_results())
    table = verdict_table(tested, "plain")
    assert table is not None
    overall = next(row for row in table.rows if row[:2] == ("MIG", "all settings"))
    assert overall[3:5] == ("no significant difference, none larger than 0.100", "+0.100 to +0.100")
    outcomes = [row["outcome"] for row in csv.DictReader(io.StringIO(verdicts_csv(tested)))]
    assert set(outcomes) == {"too few pairs", "no difference"}


def test_the_csv_holds_all_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(verdicts_csv(suite_verdicts(EIGHT)))))
    assert len(rows) == 6
    assert (rows[2]["setting"], rows[2]["outcome"], rows[2]["pairs"]) == ("all settings", "better", "15")
    assert float(rows[2]["p"]) == 2 / 2**15


def test_nothing_is_tested_if_nothing_is_compared() -> None:
    assert suite_verdicts(made_up_results(compared=False)) == []
    assert verdict_table([], "plain") is None
