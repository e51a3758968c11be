import dataclasses
import io
from pathlib import Path

import pytest
from PIL import Image

from tests.vae.suite.made_up import made_up_results
from vae.suite.plots import draw_correlations, draw_curves, draw_differences, draw_scores
from vae.suite.report import write_report

pytest.importorskip("matplotlib")


def picture(data: bytes | None) -> Image.Image:
    assert data is not None
    return Image.open(io.BytesIO(data))


def test_every_plot_is_a_picture_that_is_not_blank() -> None:
    results = made_up_results()
    for data in (draw_scores(results), draw_differences(results), draw_correlations(results)):
        low, high = picture(data).convert("L").getextrema()
        assert low < 50 < 200 < high


def test_the_same_results_give_the_same_bytes() -> None:
    assert draw_scores(made_up_results()) == draw_scores(made_up_results())


def test_there_is_no_plot_of_differences_where_nothing_is_compared() -> None:
    assert draw_differences(made_up_results(compared=False)) is None
    assert picture(draw_scores(made_up_results(compared=False)))


def test_curves_are_drawn_where_mig_was_logged(tmp_path: Path) -> None:
    results = made_up_results()
    assert draw_curves(results) is None
    curved = tuple(
        dataclasses.replace(record, curve=((10, 0.1), (20, 0.1 + record.seed / 10))) for record in results.records
    )
    low, high = picture(draw_curves(dataclasses.replace(results, records=curved))).convert("L").getextrema()
    assert low < 50 < 200 < high
    written = write_report(dataclasses.replace(results, records=curved), tmp_path)
    assert tmp_path / "plots" / "curves.png" in written
    assert "MIG while training" in (tmp_path / "report.md").read_text()


def test_two_cells_have_no_correlation_to_plot() -> None:
    results = made_up_results()
    assert draw_correlations(dataclasses.replace(results, records=results.records[:2])) is None
