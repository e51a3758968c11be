import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.vae.suite.made_up import made_up_results
from vae.suite.plots import _handle, draw_correlations, draw_curves, draw_differences, draw_scores
from vae.suite.report import write_report

pytest.importorskip("matplotlib")

PAIR_COLOR = (0x56, 0x68, 0x7A)


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


def test_variants_of_one_panel_differ_in_color_or_marker() -> None:
    looks = [(handle.get_color(), handle.get_marker()) for handle in (_handle(k, "") for k in range(64))]
    assert len(set(looks)) == 64


def num_marks(data: bytes | None, color: tuple[int, int, int] = PAIR_COLOR) -> int:
    """Number of separate spots in a color, that of a pair by default."""
    from scipy.ndimage import label

    return int(label((np.array(picture(data).convert("RGB")) == color).all(-1))[1])


def test_seeds_with_equal_scores_have_marks_of_their_own() -> None:
    results = made_up_results(num_seeds=12)
    records = tuple(
        dataclasses.replace(record, state="finished", scores={"mig": 0.2 + 0.2 * (record.seed % 2)})
        for record in results.records
        if record.labels["method"] == "beta-VAE"
    )
    drawn = draw_scores(dataclasses.replace(results, records=records))
    for color in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        assert num_marks(drawn, color) == 12 + 2  # the mean and the legend besides


@pytest.mark.parametrize("num_seeds", [3, 12, 130])
def test_every_pair_has_a_mark_of_its_own_although_all_differences_are_equal(num_seeds: int) -> None:
    results = made_up_results(num_seeds=num_seeds)
    num_pairs, num_metrics = 2 * num_seeds - 1, 3
    assert num_marks(draw_differences(results)) == num_pairs * num_metrics


def test_pairs_are_drawn_if_the_variants_are_the_only_axis() -> None:
    results = made_up_results(num_seeds=7)
    only = tuple(
        dataclasses.replace(record, labels={"variant": record.labels["variant"]})
        for record in results.records
        if record.labels["method"] == "beta-VAE"
    )
    assert num_marks(draw_differences(dataclasses.replace(results, records=only))) == 7 * 3


def test_rows_name_no_setting_where_all_share_it() -> None:
    results = made_up_results(num_seeds=7)
    same = tuple(record for record in results.records if record.labels["method"] == "beta-VAE")
    long = tuple(dataclasses.replace(record, labels={**record.labels, "method": "a long name " * 9}) for record in same)
    assert draw_differences(dataclasses.replace(results, records=same)) == draw_differences(
        dataclasses.replace(results, records=long)
    )


def test_a_pair_without_a_score_in_one_metric_is_drawn_in_the_others() -> None:
    results = made_up_results(num_seeds=6)
    first = results.records[0]
    scores = {metric: score for metric, score in first.scores.items() if metric != "mig"}
    records = (dataclasses.replace(first, scores=scores), *results.records[1:])
    assert num_marks(draw_differences(dataclasses.replace(results, records=records))) == 11 * 3 - 1


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


def test_a_variant_without_curves_is_not_in_their_legend() -> None:
    results = made_up_results()
    curve = ((10, 0.1), (20, 0.2))
    records = [dataclasses.replace(r, curve=curve) if r.labels["variant"] == "plain" else r for r in results.records]
    alone = [record for record in records if record.curve]
    both, one = (draw_curves(dataclasses.replace(results, records=tuple(each))) for each in (records, alone))
    assert both == one


def test_the_means_of_curves_are_of_the_same_seeds() -> None:
    """TopDis has seeds 0 to 3, plain 0 and 1: with TopDis at 0.4 and 0.9 the thick line is at 0.4, not at 0.65."""
    results = made_up_results(num_seeds=4)
    records = [
        dataclasses.replace(r, curve=((0, level), (10, level)))
        for r in results.records
        if r.labels["method"] == "beta-VAE"
        for level in [0.1 if r.labels["variant"] == "plain" else 0.4 if r.seed < 2 else 0.9]
        if r.labels["variant"] == "TopDis" or r.seed < 2
    ]
    pixels = np.array(picture(draw_curves(dataclasses.replace(results, records=tuple(records)))).convert("RGB"))
    column = pixels[:, pixels.shape[1] // 2].astype(int)
    highest = np.flatnonzero(column.max(-1) - column.min(-1) > 40).min()  # the seeds at 0.9
    mean, lowest = (np.flatnonzero((column == color).all(-1)).mean() for color in ((0xD5, 0x5E, 0), (0, 0x72, 0xB2)))
    assert (mean - highest) / (lowest - highest) == pytest.approx((0.9 - 0.4) / (0.9 - 0.1), abs=0.05)


def test_variants_without_a_common_seed_have_no_mean_curve() -> None:
    results = made_up_results(num_seeds=4)
    records = tuple(
        dataclasses.replace(r, curve=((0, 0.1 * r.seed), (10, 0.1 * r.seed)))
        for r in results.records
        if r.labels["method"] == "beta-VAE" and (r.seed < 2) == (r.labels["variant"] == "plain")
    )
    pixels = np.array(picture(draw_curves(dataclasses.replace(results, records=records))).convert("RGB"))
    assert {r.labels["variant"] for r in records} == {"plain", "TopDis"}
    middle = pixels[: pixels.shape[0] // 2, pixels.shape[1] // 2]  # above the legend
    assert not any((middle == color).all(-1).any() for color in ((0, 0x72, 0xB2), (0xD5, 0x5E, 0)))


def test_two_cells_have_no_correlation_to_plot() -> None:
    results = made_up_results()
    assert draw_correlations(dataclasses.replace(results, records=results.records[:2])) is None
